#include "agent/run/outage.h"

#include <sys/statvfs.h>

#include <algorithm>

namespace msp::run {
namespace {

constexpr double kBytesPerSample = 1.1;
constexpr std::uint64_t kMeasuredBytesMin = 1 << 20;  // a segment
// Where the samples that wait are not those that are on disk, the quotient says nothing.
constexpr double kMeasuredMin = 0.5;
constexpr double kMeasuredMax = 50;

}  // namespace

std::optional<DiskSpace> disk_space(const std::string& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) return std::nullopt;
  return DiskSpace{.free_bytes = status.f_bavail * status.f_frsize,
                   .total_bytes = status.f_blocks * status.f_frsize};
}

std::uint64_t buffer_room(const config::BufferConfig& limits, std::uint64_t used_bytes,
                          const std::optional<DiskSpace>& disk) {
  const auto by_size = limits.bytes_max - std::min(limits.bytes_max, used_bytes);
  if (!disk) return by_size;
  const auto stays = std::min(limits.free_bytes_min, disk->total_bytes / 20);
  return std::min(by_size, disk->free_bytes - std::min(disk->free_bytes, stays));
}

double bytes_per_sample(std::uint64_t used_bytes, std::uint64_t samples) {
  if (used_bytes < kMeasuredBytesMin || samples == 0) return kBytesPerSample;
  const auto measured = static_cast<double>(used_bytes) / static_cast<double>(samples);
  return measured < kMeasuredMin || measured > kMeasuredMax ? kBytesPerSample : measured;
}

double outage_seconds(const config::BufferConfig& limits, std::uint64_t room_bytes,
                      double samples_per_second, double sample_bytes, double oldest_seconds) {
  const auto age_max = static_cast<double>(limits.age_max.count()) / 1000;
  const auto by_age = std::max(0.0, age_max - oldest_seconds);
  if (samples_per_second <= 0) return by_age;
  return std::min(by_age, static_cast<double>(room_bytes) / (samples_per_second * sample_bytes));
}

}  // namespace msp::run
