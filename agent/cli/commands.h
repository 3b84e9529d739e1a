// The commands, one file each; each returns the exit code.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/cli/config_draft.h"
#include "agent/config/config.h"
#include "collectors/collector.h"

namespace msp::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitBadUsage = 2;
inline constexpr int kExitBadConfig = 78;  // EX_CONFIG of sysexits.h

struct GlobalOptions {
  std::string config = "/etc/msp-agent.yaml";
  collectors::HostPaths paths;
  std::optional<LogLevel> log_level;  // wins over the configuration's
};

struct InitOptions {
  ConfigDraft draft;                // what flags said; labels are in `labels`
  std::vector<std::string> labels;  // NAME=VALUE
  bool scrape = false;              // what is found on this host
  bool force = false;               // replace a file that is configured
};

struct DryRunOptions {
  std::vector<std::string> collectors;  // empty: those of the configuration
  bool diff = false;                    // two passes, and what changed between them
};

struct CheckOptions {
  bool offline = false;
  bool json = false;
};

struct ConvertOptions {
  std::vector<std::string>
      files;             // or a folder of *.alloy files; "-": standard input; and those it names
  std::string env_file;  // empty: none
  std::string from = "alloy";  // or prometheus, process-exporter
};

struct StatusOptions {
  bool json = false;
  bool watch = false;  // on a terminal, until q
};

int run(const GlobalOptions& options);
int dry_run(const GlobalOptions& options, const DryRunOptions& wanted);
int check(const GlobalOptions& options, const CheckOptions& wanted);
int status(const GlobalOptions& options, const StatusOptions& wanted);
int init(const GlobalOptions& options, const InitOptions& wanted);
int list_collectors(const GlobalOptions& options, bool as_json);
int convert_alloy(const ConvertOptions& options);

/// The configuration, or nothing after printing a line for each thing wrong with it.
std::optional<config::Config> load_config_or_tell(const GlobalOptions& options);

}  // namespace msp::cli
