#include "agent/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>

#include "agent/base/text.h"
#include "agent/cli/commands.h"

namespace msp::cli {
namespace {

const std::map<std::string, LogLevel> kLogLevels = {{"debug", LogLevel::debug},
                                                    {"info", LogLevel::info},
                                                    {"warning", LogLevel::warning},
                                                    {"error", LogLevel::error}};

CLI::App* add_convert_alloy(CLI::App& app, ConvertOptions& options) {
  auto* command =
      app.add_subcommand("convert-alloy", "Print Alloy's configuration as an msp-agent.yaml");
  command
      ->add_option(
          "FILE", options.files,
          "A file, a folder of *.alloy files, or - for stdin; behind it, files that it names")
      ->required();
  command
      ->add_option("--env-file", options.env_file,
                   "The variables of Alloy's unit, such as /etc/default/alloy")
      ->type_name("FILE");
  command->add_option("--from", options.from, "What FILE is: alloy, prometheus or process-exporter")
      ->check(CLI::IsMember({"alloy", "prometheus", "process-exporter"}).description(""))
      ->type_name("AGENT")
      ->capture_default_str();
  return command;
}

CLI::App* add_status(CLI::App& app, StatusOptions& options) {
  auto* command =
      app.add_subcommand("status", "Show what the running agent does and whether all is well");
  auto* json = command->add_flag("--json", options.json, "Print JSON");
  command->add_flag("--watch", options.watch, "Refresh every 2 s; q ends")->excludes(json);
  return command;
}

/// "/host/proc/" is "/host/proc", "/" stays.
void strip_trailing_slashes(std::string& path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
}

void add_init_options(CLI::App& command, InitOptions& out) {
  const auto add = [&](const char* flag, std::string& value, const char* type, const char* text) {
    command.add_option(flag, value, text)->type_name(type);
  };
  add("--customer-id", out.draft.customer_id, "ID", "The customer that the server belongs to");
  add("--server-name", out.draft.server_name, "NAME", "Default: the host name");
  add("--environment", out.draft.environment, "NAME", "Such as production");
  add("--url", out.draft.url, "URL", "Such as https://monitor.example.com/api/v1/write");
  add("--username", out.draft.username, "NAME", "For basic authentication");
  add("--password-file", out.draft.password_file, "FILE", "For basic authentication");
  add("--bearer-token-file", out.draft.bearer_token_file, "FILE", "For a bearer token");
  add("--ca-file", out.draft.ca_file, "FILE",
      "The CA of the centre's certificate, where this host does not trust it");
  command.add_option("--label", out.labels, "On every sample; may be given more than once")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--scrape", out.scrape, "Scrape the exporters that are found on this host");
  command.add_flag("--force", out.force,
                   "Replace an existing configuration, which is kept as FILE.bak");
}

/// main() holds it back for the agent, which reloads then; any other command ends with its terminal.
void let_sighup_through() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

/// What was asked for. The parser is gone before that begins: the agent is to run for years, and
/// has no use for it.
std::function<int()> parse_command_line(int argc, char** argv) {
  CLI::App app("Collects this host's metrics and sends them to VictoriaMetrics by remote write.",
               "msp-agent");
  GlobalOptions options;
  bool is_dry_run = false;
  std::string log_level;
  app.add_option("--config", options.config, "The configuration file")
      ->type_name("FILE")
      ->capture_default_str();
  auto* dry_flag = app.add_flag("--dry-run", is_dry_run,
                                "Collect once, print the samples as Prometheus text, send nothing");
  DryRunOptions dry;
  app.add_option("--collectors", dry.collectors, "With --dry-run: only these")
      ->type_name("A,B")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->needs(dry_flag);
  app.add_flag("--diff", dry.diff, "With --dry-run: two passes a second apart, and what changed")
      ->needs(dry_flag);
  app.add_option("--path.procfs", options.paths.procfs, "Where the host's /proc is mounted")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--path.sysfs", options.paths.sysfs, "Where the host's /sys is mounted")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--path.rootfs", options.paths.rootfs, "Where the host's / is mounted")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--log-level", log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}).description(""))
      ->type_name("LEVEL");
  app.set_version_flag("--version", "msp-agent " MSP_AGENT_VERSION "\n" MSP_AGENT_BUILT_WITH);
  app.require_subcommand(0, 1);
  app.fallthrough();
  const auto* running =
      app.add_subcommand("run", "Run in the foreground (the default; what systemd starts)");
  auto* checking = app.add_subcommand(
      "check", "Test the configuration, each endpoint with a real sample, and this host");
  CheckOptions check_options;
  checking->add_flag("--offline", check_options.offline, "Test the configuration only");
  checking->add_flag("--json", check_options.json, "Print one JSON object, for programs");
  StatusOptions status_options;
  auto* showing = add_status(app, status_options);
  InitOptions init_options;
  auto* initializing =
      app.add_subcommand("init", "Write the configuration from flags, or ask for it");
  add_init_options(*initializing, init_options);
  auto* collectors =
      app.add_subcommand("collectors", "List the collectors, and what each gives on this host");
  bool collectors_json = false;
  collectors->add_flag("--json", collectors_json, "Print one JSON object, for programs");
  ConvertOptions convert_options;
  auto* convert = add_convert_alloy(app, convert_options);
  app.footer("Exit codes: 0 done, 1 failed, 2 bad usage, 78 bad configuration.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream complaint;
    const int code = app.exit(error, std::cout, complaint) == 0 ? kExitDone : kExitBadUsage;
    std::fputs(visible_lines(complaint.str()).c_str(), stderr);
    return [code] { return code; };
  }
  for (auto* path : {&options.paths.procfs, &options.paths.sysfs, &options.paths.rootfs}) {
    strip_trailing_slashes(*path);
  }
  if (!log_level.empty()) options.log_level = kLogLevels.at(log_level);
  const bool is_agent = running->parsed() || (app.get_subcommands().empty() && !is_dry_run);
  if (!is_agent) let_sighup_through();
  if (collectors->parsed()) return [=] { return list_collectors(options, collectors_json); };
  if (checking->parsed()) return [=] { return check(options, check_options); };
  if (showing->parsed()) return [=] { return status(options, status_options); };
  if (initializing->parsed()) return [=] { return init(options, init_options); };
  if (convert->parsed()) return [=] { return convert_alloy(convert_options); };
  if (is_dry_run) return [=] { return dry_run(options, dry); };
  return [=] { return run(options); };
}

}  // namespace

int run_command_line(int argc, char** argv) {
  return parse_command_line(argc, argv)();
}

}  // namespace msp::cli
