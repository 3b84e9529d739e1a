// The two clocks, read here and nowhere else: wall time is what samples are stamped with, monotonic
// time is what everything is scheduled and measured by.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>

namespace msp {

inline std::int64_t clock_ns(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

/// Nanoseconds since 1970, as the host believes; may jump.
inline std::int64_t wall_ns() {
  return clock_ns(CLOCK_REALTIME);
}

/// Nanoseconds since an arbitrary start; never jumps, stands still while the host is suspended.
inline std::int64_t monotonic_ns() {
  return clock_ns(CLOCK_MONOTONIC);
}

/// How long to wait until `until_ns` (monotonic). A moment that is never to come is a year away,
/// for waits add it to a clock.
inline std::chrono::nanoseconds left_until(std::int64_t until_ns) {
  return std::min<std::chrono::nanoseconds>(std::chrono::nanoseconds(until_ns - monotonic_ns()),
                                            std::chrono::hours(365 * 24));
}

inline constexpr std::int64_t kNsPerMs = 1'000'000;
inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;

}  // namespace msp
