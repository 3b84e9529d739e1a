// msp-agent check, for the host: may the buffer be used and what outage does it hold, does another
// agent run, which collectors have nothing to report here.
#pragma once

#include <cstdint>
#include <string>

#include "agent/cli/check_report.h"
#include "agent/config/config.h"
#include "collectors/collector.h"

namespace msp {

/// Collects once, and reports.
void check_host(const Config& config, const HostPaths& paths, CheckReport& report);

/// What of a file system the buffer may take, in bytes.
std::uint64_t buffer_room(const BufferConfig& buffer, std::uint64_t free_bytes,
                          std::uint64_t total_bytes);

/// How long an outage may last before the oldest samples go, in seconds.
std::int64_t outage_seconds(std::uint64_t room_bytes, std::size_t samples_per_tick,
                            const Config& config);

/// "41 days", "20 hours", "5 minutes".
std::string about(std::int64_t seconds);

}  // namespace msp
