// For how long the buffer keeps what no endpoint takes, until a limit drops the oldest samples: one
// estimate, which `msp-agent check` and `msp-agent status` both show.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/config/config.h"

namespace msp::run {

/// Of the file system that the buffer is on.
struct DiskSpace {
  std::uint64_t free_bytes = 0;  // for a process without privileges
  std::uint64_t total_bytes = 0;
};

/// Asks the kernel; nothing where it cannot tell. Waits where the disk or its server hangs.
std::optional<DiskSpace> disk_space(const std::string& path);

/// How many bytes more the buffer may take, which holds `used_bytes`: up to max_size, and as long as
/// min_free, or 5 % of a smaller disk, stays free. Without `disk` only max_size counts.
std::uint64_t buffer_room(const config::BufferConfig& limits, std::uint64_t used_bytes,
                          const std::optional<DiskSpace>& disk);

/// What a sample takes on disk. Measured, where `used_bytes` of `samples` are enough to measure;
/// otherwise what `build/release/tests/codec_bench` measures of a host in an outage.
double bytes_per_sample(std::uint64_t used_bytes, std::uint64_t samples);

/// `oldest_seconds` is the age of the oldest sample that waits. Without samples only age counts.
double outage_seconds(const config::BufferConfig& limits, std::uint64_t room_bytes,
                      double samples_per_second, double sample_bytes, double oldest_seconds);

}  // namespace msp::run
