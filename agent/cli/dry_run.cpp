// msp-agent --dry-run: one scrape as Prometheus text on stdout, with the labels that would be sent.
#include <cstdio>

#include "agent/agent.h"
#include "agent/cli/commands.h"
#include "agent/core/text_format.h"
#include "agent/self/log.h"

namespace msp {

int dry_run(const GlobalOptions& options) {
  const auto config = load_config_or_tell(options);
  if (!config) return kExitBadConfig;
  if (options.log_level) init_log(*options.log_level);
  const auto text = text_format(collect_once(*config, options.paths));
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (written) return kExitDone;
  log_error("cannot write to standard output");
  return kExitFailed;
}

}  // namespace msp
