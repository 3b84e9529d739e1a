// msp-agent status: what the running agent does, from its status file; whether it runs at all.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/json.h"
#include "agent/base/redact.h"
#include "agent/base/text.h"
#include "agent/cli/commands.h"
#include "agent/cli/journal.h"
#include "agent/cli/seen_status.h"
#include "agent/cli/status_text.h"
#include "agent/cli/watch.h"
#include "agent/config/secrets.h"
#include "agent/run/status_file.h"

namespace msp::cli {
namespace {

/// Where a file may be: of the service first, unless another configuration is asked for.
std::vector<std::string> places(const GlobalOptions& options) {
  std::vector<std::string> folders;
  if (options.config == GlobalOptions{}.config) folders.emplace_back("/run/msp-agent");
  if (::access(options.config.c_str(), R_OK) == 0) {
    const auto outcome =
        config::load_config(options.config);  // whatever is wrong with the rest of it
    set_secrets(config::secrets_of(outcome.config));
    folders.push_back(outcome.config.buffer.head_path);
    folders.push_back(outcome.config.buffer.path);
  }
  std::vector<std::string> paths;
  for (const auto& folder : folders) {
    auto path = cat(folder, "/", run::kStatusFileName);
    if (paths.empty() || paths.back() != path) paths.push_back(std::move(path));
  }
  return paths;
}

SeenStatus look(const GlobalOptions& options) {
  const auto paths = places(options);
  auto seen = ask_status(paths);
  if (seen.life != SeenStatus::Life::absent) return seen;
  for (const auto& path : paths)
    seen.problem += cat(seen.problem.empty() ? "there is no " : ", nor ", path);
  if (::access(options.config.c_str(), R_OK) != 0) {
    seen.problem += cat(seen.problem.empty() ? "" : "; ", "this user cannot read ", options.config,
                        ", which says where else to look");
  }
  return seen;
}

std::string journal_error(const SeenStatus& seen) {
  using Life = SeenStatus::Life;
  const bool is_down =
      seen.life == Life::gone || seen.life == Life::stopped || seen.life == Life::absent;
  return is_down ? last_journal_error() : std::string();
}

StatusText describe(const GlobalOptions& options) {
  const auto seen = look(options);
  return status_text(seen, static_cast<double>(wall_ns()) / kNsPerSecond, journal_error(seen));
}

bool has_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) != 0 && (no_colour == nullptr || *no_colour == '\0');
}

/// The verdict in green or red, the rest as it is.
std::string coloured(const StatusText& text) {
  auto rest = std::string_view(text.headline);
  const auto verdict = next_line(rest).value_or("");
  return cat(text.is_well ? "\x1b[32m" : "\x1b[31m", verdict, "\x1b[0m\n", rest, text.tables);
}

/// The file, with what it cannot know itself in front.
std::string json_text(const SeenStatus& seen, const StatusText& text) {
  using Life = SeenStatus::Life;
  JsonWriter own;
  own.add("running", seen.life == Life::running || seen.life == Life::hangs);
  own.add("hangs", seen.life == Life::hangs);
  own.add("well", text.is_well);
  own.add("verdict", trim(text.headline));
  auto json = own.finish();
  if (!seen.root) return json;
  json.resize(json.rfind("\n}"));
  return cat(json, ",", std::string_view(seen.text).substr(1));
}

}  // namespace

int status(const GlobalOptions& options, const StatusOptions& wanted) {
  if (wanted.watch) {
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
      std::fputs("msp-agent status: --watch needs a terminal; without one run: msp-agent status\n",
                 stderr);
      return kExitBadUsage;
    }
    bool is_well = false;
    watch([&] {
      const auto text = describe(options);
      is_well = text.is_well;
      return has_colour() ? coloured(text) : cat(text.headline, text.tables);
    });
    return is_well ? kExitDone : kExitFailed;
  }
  const auto seen = look(options);
  const auto text =
      status_text(seen, static_cast<double>(wall_ns()) / kNsPerSecond, journal_error(seen));
  const auto out = wanted.json    ? json_text(seen, text)
                   : has_colour() ? coloured(text)
                                  : cat(text.headline, text.tables);
  std::fputs(out.c_str(), stdout);
  return std::fflush(stdout) == 0 && text.is_well ? kExitDone : kExitFailed;
}

}  // namespace msp::cli
