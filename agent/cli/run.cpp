// msp-agent run: the agent in the foreground, until it is told to stop.
#include <cstdio>

#include "agent/base/failed_open.h"
#include "agent/base/log.h"
#include "agent/base/redact.h"
#include "agent/cli/commands.h"
#include "agent/config/secrets.h"
#include "agent/run/agent.h"

namespace msp::cli {

std::optional<config::Config> load_config_or_tell(const GlobalOptions& options) {
  auto outcome = config::load_config(options.config);
  set_secrets(config::secrets_of(outcome.config));
  for (const auto& warning : outcome.warnings) log_warning(warning);
  for (const auto& error : outcome.errors) log_error(error.to_string());
  if (!outcome.errors.empty()) return std::nullopt;
  return std::move(outcome.config);
}

int run(const GlobalOptions& options) {
  const auto read_config = [&] {
    auto config = load_config_or_tell(options);
    if (config) init_log(options.log_level.value_or(config->log_level));
    return config;
  };
  const auto config = read_config();
  // Want of descriptors passes: after 78 the service would not be started again.
  if (!config) return take_failed_open() != 0 ? kExitFailed : kExitBadConfig;
  const auto ran = run::run_agent(*config, options.paths, read_config);
  if (ran) return kExitDone;
  log_error(ran.error().text);
  return kExitFailed;
}

}  // namespace msp::cli
