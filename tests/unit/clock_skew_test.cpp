#include "agent/delivery/clock_skew.h"

#include <catch2/catch.hpp>

namespace msp {
namespace {

TEST_CASE("clocks that agree to the minute are no problem") {
  for (const auto ahead_s : {0, 60, -60}) CHECK(skew_text(ahead_s, false).empty());
}

TEST_CASE("the clock that is wrong is named where it is known which") {
  CHECK(skew_text(86'400, true) ==
        "this host's clock is 1 d 0 h ahead of the server's; NTP keeps this host's right: mend the "
        "server's, or its proxy's");
  CHECK(skew_text(-61, false) ==
        "this host's clock is 1 m 1 s behind the server's; nothing keeps this host's right: mend "
        "this one: timedatectl set-ntp true");
  CHECK(skew_text(-86'400, std::nullopt) ==
        "this host's clock is 1 d 0 h behind the server's; see which of the two is right, and mend "
        "the other");
}

}  // namespace
}  // namespace msp
