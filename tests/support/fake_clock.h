// A clock of the tests' own: days pass in a moment. The thread that made it moves the time: its
// waits jump to their end, and on the way there run what at() has set for that time, so that a
// whole world runs in one thread, always in the same order. Waits of other threads end when that
// thread has moved the time, or at a notification.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <thread>
#include <utility>

#include "agent/base/clock.h"

namespace msp::test {

class FakeClock final : public Clock {
 public:
  static constexpr std::int64_t kStartNs = 1'000 * kNsPerSecond;              // since the boot
  static constexpr std::int64_t kWallStartNs = 1'700'000'000 * kNsPerSecond;  // 2023-11-14

  std::int64_t monotonic_ns() const override { return now_ns_; }
  std::int64_t wall_ns() const override { return now_ns_ + wall_ahead_ns_; }
  std::int64_t boottime_ns() const override { return now_ns_ + suspended_ns_; }

  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
            std::int64_t until_ns) override {
    if (std::this_thread::get_id() != mover_) {
      changed.wait_for(lock, std::chrono::milliseconds(1));
      return;
    }
    lock.unlock();
    if (!run_next(until_ns)) {
      if (until_ns == kNeverNs) throw std::logic_error("FakeClock: a wait that nothing will end");
      move_to(until_ns);
    }
    lock.lock();
  }

  /// `event` runs when the time is `at_ns` (monotonic), at once at the next wait if that is over.
  void at(std::int64_t at_ns, std::function<void()> event) {
    events_.emplace(at_ns, std::move(event));
  }

  /// Time passes, and what is set for it happens.
  void advance(std::int64_t ns) {
    const auto until_ns = now_ns_ + ns;
    while (run_next(until_ns)) {
    }
    move_to(until_ns);
  }

  /// The wall clock jumps.
  void step_wall(std::int64_t ns) { wall_ahead_ns_ += ns; }

  /// The host sleeps: for the monotonic clock no time passes.
  void suspend(std::int64_t ns) {
    suspended_ns_ += ns;
    wall_ahead_ns_ += ns;
  }

  /// Time passes, and nothing of what is set for it happens before its end: the process was stopped.
  void jump(std::int64_t ns) { now_ns_ += ns; }

 private:
  /// False: nothing is set for a time before that.
  bool run_next(std::int64_t until_ns) {
    if (events_.empty() || events_.begin()->first > until_ns) return false;
    const auto next = events_.extract(events_.begin());
    move_to(next.key());
    next.mapped()();
    return true;
  }
  void move_to(std::int64_t at_ns) {
    if (at_ns > now_ns_) now_ns_ = at_ns;
  }

  const std::thread::id mover_ = std::this_thread::get_id();
  std::atomic<std::int64_t> now_ns_ = kStartNs;
  std::atomic<std::int64_t> wall_ahead_ns_ = kWallStartNs - kStartNs;
  std::atomic<std::int64_t> suspended_ns_ = 0;
  std::multimap<std::int64_t, std::function<void()>> events_;  // the mover's
};

}  // namespace msp::test
