#include "agent/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <map>

#include "agent/cli/commands.h"

namespace msp {
namespace {

const std::map<std::string, LogLevel> kLogLevels = {{"debug", LogLevel::debug},
                                                    {"info", LogLevel::info},
                                                    {"warning", LogLevel::warning},
                                                    {"error", LogLevel::error}};

CLI::App* add_convert_alloy(CLI::App& app, ConvertOptions& options) {
  auto* command =
      app.add_subcommand("convert-alloy", "Print Alloy's configuration as an msp-agent.yaml");
  command->add_option("FILE", options.file, "A file, a folder of *.alloy files, or - for stdin")
      ->required();
  command
      ->add_option("--env-file", options.env_file,
                   "The variables of Alloy's unit, such as /etc/default/alloy")
      ->type_name("FILE");
  command->add_option("--from", options.from, "What FILE is: alloy or prometheus")
      ->check(CLI::IsMember({"alloy", "prometheus"}).description(""))
      ->type_name("AGENT")
      ->capture_default_str();
  return command;
}

/// "/host/proc/" is "/host/proc", "/" stays.
void strip_trailing_slashes(std::string& path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app("Reads this host's metrics and remote-writes them to VictoriaMetrics.", "msp-agent");
  GlobalOptions options;
  bool is_dry_run = false;
  std::string log_level;
  app.add_option("--config", options.config, "The configuration file")
      ->type_name("FILE")
      ->capture_default_str();
  app.add_flag("--dry-run", is_dry_run,
               "Collect once, print the samples as Prometheus text, send nothing");
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
  app.set_version_flag("--version", "msp-agent " MSP_AGENT_VERSION);
  app.require_subcommand(0, 1);
  app.fallthrough();
  app.add_subcommand("run", "Run in the foreground (the default; what systemd starts)");
  auto* collectors = app.add_subcommand("collectors", "List the collectors");
  ConvertOptions convert_options;
  auto* convert = add_convert_alloy(app, convert_options);
  app.footer("Exit codes: 0 done, 1 failed, 2 bad usage, 78 bad configuration.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitBadUsage;
  }
  for (auto* path : {&options.paths.procfs, &options.paths.sysfs, &options.paths.rootfs}) {
    strip_trailing_slashes(*path);
  }
  if (!log_level.empty()) options.log_level = kLogLevels.at(log_level);
  if (collectors->parsed()) return list_collectors();
  if (convert->parsed()) return convert_alloy(convert_options);
  return is_dry_run ? dry_run(options) : run(options);
}

}  // namespace msp
