// When to tick. Ticks stand on a grid of the interval, moved by a phase that is the host's own, so
// that thousands of hosts do not report in one millisecond. The grid is laid once, by the wall
// clock; from then on it is kept by a clock that does not jump but does count the time the host was
// suspended.
//
// Pure arithmetic: the caller brings the clocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace msp::sources {

class Schedule {
 public:
  /// The first tick is due at once, at `steady_ns`. `identity` is what tells this host from others.
  Schedule(std::chrono::nanoseconds interval, std::string_view identity, std::int64_t wall_ns,
           std::int64_t steady_ns);

  /// When the next tick is due, on the steady clock.
  std::int64_t due_ns() const { return due_ns_; }

  /// Accounts for a tick that starts now, at or after due_ns(). Returns how many ticks before it
  /// were missed: their moments are over, and samples taken now are not theirs.
  std::uint64_t tick(std::int64_t steady_ns);

 private:
  std::int64_t interval_ns_;
  std::int64_t grid_ns_;  // any point of the grid, on the steady clock
  std::int64_t due_ns_;
};

}  // namespace msp::sources
