#include "agent/base/clock.h"

namespace msp {
namespace {

class RealClock final : public Clock {
 public:
  std::int64_t monotonic_ns() const override { return msp::monotonic_ns(); }
  std::int64_t wall_ns() const override { return msp::wall_ns(); }
  std::int64_t boottime_ns() const override { return clock_ns(CLOCK_BOOTTIME); }

  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
            std::int64_t until_ns) override {
    changed.wait_for(lock, left_until(until_ns));
  }
};

}  // namespace

Clock& real_clock() {
  static RealClock clock;
  return clock;
}

}  // namespace msp
