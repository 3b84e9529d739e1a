#include "agent/base/throttle.h"

#include <catch2/catch.hpp>

namespace msp {

TEST_CASE("what comes and goes is told three times an hour") {
  Throttle throttle;
  constexpr std::int64_t kTick = 15'000'000'000;
  int lines = 0;
  for (std::int64_t now = 5; now < 10 * Throttle::kHourNs; now += kTick) {
    lines += throttle.pass(now) ? 1 : 0;
  }
  CHECK(lines == 30);
}

}  // namespace msp
