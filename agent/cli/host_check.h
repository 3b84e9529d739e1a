// msp-agent check, for the host: may the buffer be used and what outage does it hold, does another
// agent run, which collectors have nothing to report here.
#pragma once

#include <cstdint>
#include <string>

#include "agent/cli/check_report.h"
#include "agent/config/config.h"
#include "collectors/collector.h"

namespace msp::cli {

/// Collects once, and reports.
void check_host(const config::Config& config, const collectors::HostPaths& paths,
                CheckReport& report);

/// "41 days", "20 hours", "5 minutes".
std::string about(std::int64_t seconds);

}  // namespace msp::cli
