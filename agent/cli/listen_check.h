// `msp-agent check` of what the agent is to answer at `listen`: its certificate, the logins of its
// clients, and whether the address can be had.
#pragma once

#include "agent/cli/check_report.h"
#include "agent/config/config.h"

namespace msp::cli {

/// Adds its steps to those of the host; none without `listen`.
void check_listen(const config::ListenConfig& listen, CheckReport& report);

}  // namespace msp::cli
