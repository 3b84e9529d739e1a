#include "agent/cli/other_agents.h"

#include <algorithm>

#include "agent/base/file.h"
#include "agent/base/text.h"

namespace msp::cli {
namespace {

constexpr std::size_t kCmdlineBytesMax = 64 * 1024;

std::string_view next_argument(std::string_view& rest) {
  const auto end = std::min(rest.find('\0'), rest.size());
  const auto argument = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return argument;
}

/// Without a command, or with `run`, and not to answer one question.
bool is_running_agent(std::string_view arguments) {
  constexpr std::string_view kOneShot[] = {"check",      "status",    "init",
                                           "collectors", "--dry-run", "--help",
                                           "-h",         "--version", "convert-alloy"};
  while (!arguments.empty()) {
    const auto argument = next_argument(arguments);
    if (std::find(std::begin(kOneShot), std::end(kOneShot), argument) != std::end(kOneShot)) {
      return false;
    }
  }
  return true;
}

/// A Prometheus that scrapes and keeps is no agent.
bool is_prometheus_agent(std::string_view arguments) {
  while (!arguments.empty()) {
    const auto argument = next_argument(arguments);
    if (argument == "--agent" || argument == "--enable-feature=agent") return true;
  }
  return false;
}

}  // namespace

std::string_view agent_name(std::string_view cmdline) {
  constexpr std::string_view kNames[][2] = {
      {"alloy", "alloy"},
      {"grafana-agent", "grafana-agent"},
      {"vmagent", "vmagent"},
      {"vmagent-prod", "vmagent"},
      {"node_exporter", "node_exporter"},
      {"prometheus-node-exporter", "node_exporter"},
      {"telegraf", "telegraf"},
      {"fluent-bit", "fluent-bit"},
  };
  auto program = next_argument(cmdline);
  program.remove_prefix(program.rfind('/') + 1);  // npos + 1 is 0
  if (program == "msp-agent") return is_running_agent(cmdline) ? "msp-agent" : "";
  if (program == "prometheus") return is_prometheus_agent(cmdline) ? "prometheus --agent" : "";
  for (const auto& [known, name] : kNames) {
    if (program == known) return name;
  }
  return {};
}

std::vector<RunningAgent> running_agents(const std::string& procfs) {
  std::vector<RunningAgent> agents;
  const auto names = names_in(procfs);
  if (!names) return agents;
  for (const auto& name : *names) {
    const auto pid = parse_number<int>(name);
    if (!pid) continue;
    const auto cmdline = read_file(cat(procfs, "/", name, "/cmdline"), kCmdlineBytesMax);
    if (!cmdline) continue;  // it has ended
    if (const auto name = agent_name(*cmdline); !name.empty()) {
      agents.push_back({*pid, std::string(name)});
    }
  }
  std::sort(agents.begin(), agents.end(),
            [](const RunningAgent& a, const RunningAgent& b) { return a.pid < b.pid; });
  return agents;
}

}  // namespace msp::cli
