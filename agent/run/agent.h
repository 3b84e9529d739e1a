// The running agent: ticks, signals and reloads on the main thread, Delivery's threads behind the
// buffer.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "agent/metrics/sample.h"
#include "collectors/collector.h"

namespace msp::run {

/// Reads the configuration anew; nothing, when it has told what is wrong with it.
using ReadConfig = std::function<std::optional<config::Config>()>;

/// Runs until SIGTERM or SIGINT; at SIGHUP takes over what `read_config` gives. Then gives what is
/// waiting a few seconds to be delivered, and the rest to the disk. An error is one that no waiting
/// mends: another agent uses the same buffer. Call it once, from the process's first thread, before
/// there are others.
Result<void> run_agent(const config::Config& config, const collectors::HostPaths& paths,
                       const ReadConfig& read_config);

/// Told when a collector begins to fail, fails in another way, or works again (null).
using OnHealthChange = std::function<void(std::string_view collector, const Error* error)>;

/// Told when what a collector leaves out, because the kernel has garbled it, changes.
using OnComplaint =
    std::function<void(std::string_view collector, std::string_view text, bool is_over)>;

/// How a collector's tick went.
struct CollectorReport {
  std::string_view name;
  bool success;
  bool has_data;  // false: the host does not have what it reads
  double seconds;
  std::size_t series;
  std::string error;  // empty: it worked
};

struct Collected {
  std::vector<std::vector<metrics::Scrape>> ticks;  // for each tick a scrape of each source
  std::vector<CollectorReport> collectors;          // of the last tick, by name
  double samples_per_second = 0;                    // each source at its interval
};

/// The first ticks of run_agent(), `apart` of one another, without network and buffer. Costly
/// collectors are asked at each of them. Without `on_health_change` and `on_complaint` what they
/// would be told is logged.
Collected collect(const config::Config& config, const collectors::HostPaths& paths, int ticks,
                  std::chrono::nanoseconds apart = {}, OnHealthChange on_health_change = nullptr,
                  OnComplaint on_complaint = nullptr);

}  // namespace msp::run
