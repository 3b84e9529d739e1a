// The running agent: ticks, signals and reloads on the main thread, Delivery's threads behind the
// buffer.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "agent/metrics/sample.h"
#include "collectors/collector.h"

namespace msp {

/// Reads the configuration anew; nothing, when it has told what is wrong with it.
using ReadConfig = std::function<std::optional<Config>()>;

/// Runs until SIGTERM or SIGINT; at SIGHUP takes over what `read_config` gives. Then gives what is
/// waiting a few seconds to be delivered, and the rest to the disk. An error is one that no waiting
/// mends: another agent uses the same buffer. Call it once, from the process's first thread, before
/// there are others.
Result<void> run_agent(const Config& config, const HostPaths& paths, const ReadConfig& read_config);

/// Told when a collector begins to fail, fails in another way, or works again (null).
using OnHealthChange = std::function<void(std::string_view collector, const Error* error)>;

/// Told when what a collector leaves out, because the kernel has garbled it, changes.
using OnComplaint =
    std::function<void(std::string_view collector, std::string_view text, bool is_over)>;

/// The first ticks of run_agent(), `apart` of one another, without network and buffer: for each tick
/// a scrape of each source. Without `on_health_change` and `on_complaint` what they would be told is
/// logged.
std::vector<std::vector<Scrape>> collect(const Config& config, const HostPaths& paths, int ticks,
                                         std::chrono::nanoseconds apart = {},
                                         OnHealthChange on_health_change = nullptr,
                                         OnComplaint on_complaint = nullptr);

}  // namespace msp
