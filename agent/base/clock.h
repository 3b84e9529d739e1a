// The clocks, read here and nowhere else: wall time is what samples are stamped with, monotonic
// time is what everything is scheduled and measured by. Whatever waits, or compares times over more
// than one call, takes a Clock, so that a simulation runs days in a moment.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <ctime>
#include <limits>
#include <mutex>

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

/// A moment of the monotonic clock that does not come.
inline constexpr std::int64_t kNeverNs = std::numeric_limits<std::int64_t>::max();

/// How long to wait until `until_ns` (monotonic). A moment that is never to come is a year away,
/// for waits add it to a clock.
inline std::chrono::nanoseconds left_until(std::int64_t until_ns) {
  return std::min<std::chrono::nanoseconds>(std::chrono::nanoseconds(until_ns - monotonic_ns()),
                                            std::chrono::hours(365 * 24));
}

inline constexpr std::int64_t kNsPerMs = 1'000'000;
inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;

/// Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t monotonic_ns() const = 0;
  virtual std::int64_t wall_ns() const = 0;
  /// As monotonic_ns(), but goes on while the host is suspended.
  virtual std::int64_t boottime_ns() const = 0;

  /// Waits on `changed`, with `lock` released meanwhile, until it is notified or the monotonic
  /// clock is at `until_ns`. May return early: the caller checks its condition in a loop, and holds
  /// no other lock.
  virtual void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                    std::int64_t until_ns) = 0;
};

/// The host's.
Clock& real_clock();

}  // namespace msp
