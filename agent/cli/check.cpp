// msp-agent check --offline: is this configuration one that the agent starts with? Each error is a
// line on stderr, as at a start, and the exit code is 78.
#include <cstdio>

#include "agent/cli/commands.h"
#include "agent/core/text.h"

namespace msp {

int check(const GlobalOptions& options) {
  const auto config = load_config_or_tell(options);
  if (!config) return kExitBadConfig;
  const auto text =
      cat("OK: ", options.config, ": ", config->customer_id, "/", config->server_name);
  return std::puts(text.c_str()) >= 0 && std::fflush(stdout) == 0 ? kExitDone : kExitFailed;
}

}  // namespace msp
