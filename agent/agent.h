// The running agent: one thread that ticks, one sender thread per endpoint, and the buffer between
// them. This is the only place that starts threads (collectors/mount_stat.cpp, for calls that can
// hang, excepted) and handles signals.
#pragma once

#include <chrono>
#include <vector>

#include "agent/config/config.h"
#include "agent/core/sample.h"
#include "collectors/collector.h"

namespace msp {

/// Runs until SIGTERM or SIGINT, then gives what is waiting a few seconds to be delivered, and the
/// rest to the disk. An error is one that no waiting mends: another agent uses the same buffer.
/// Call it once, from the process's first thread, before there are others.
Result<void> run_agent(const Config& config, const HostPaths& paths);

/// The first ticks of run_agent(), `apart` of one another, without network and buffer.
std::vector<Scrape> collect(const Config& config, const HostPaths& paths, int ticks,
                            std::chrono::nanoseconds apart = {});

}  // namespace msp
