// msp-agent check: is this configuration one that the agent starts with, do its endpoints take
// samples, is the host fit for it? With --offline only the first. Each error of the configuration
// is on stderr, as at a start, with the line it is about; the exit code is then 78.
#include <csignal>
#include <cstdio>

#include "agent/base/log.h"
#include "agent/base/redact.h"
#include "agent/cli/check_report.h"
#include "agent/cli/commands.h"
#include "agent/cli/endpoint_check.h"
#include "agent/cli/found_exporters.h"
#include "agent/cli/host_check.h"
#include "agent/cli/target_check.h"
#include "agent/config/probe_target.h"
#include "agent/config/scrape_target.h"
#include "agent/config/secrets.h"
#include "agent/http/client.h"

namespace msp::cli {

int check(const GlobalOptions& options, const CheckOptions& wanted) {
  auto outcome = config::load_config(options.config);
  set_secrets(config::secrets_of(outcome.config));
  for (const auto& warning : outcome.warnings) log_warning(warning);
  for (const auto& error : outcome.errors) {
    log_error(error.to_string());
    if (!error.excerpt.empty()) std::fprintf(stderr, "%s\n", redact(error.excerpt).c_str());
  }
  CheckReport report(wanted.json ? CheckReport::Form::json : CheckReport::Form::text,
                     options.config);
  const auto& config = outcome.config;
  const bool is_good = outcome.errors.empty();
  report.add_config(config, std::move(outcome.errors));
  if (is_good && !wanted.offline) {
    std::signal(SIGPIPE, SIG_IGN);
    http::init_http();
    for (const auto& endpoint : config.endpoints) check_endpoint(endpoint, config, report);
    for (const auto& target : config::scrape_targets(config)) check_target(target, report);
    for (const auto& target : config::probe_targets(config)) check_probe(target, report);
    check_host(config, options.paths, report);
    check_exporters(config, options.paths, report);
  }
  const bool is_written = report.finish();
  if (!is_good) return kExitBadConfig;
  return is_written && !report.failed() ? kExitDone : kExitFailed;
}

}  // namespace msp::cli
