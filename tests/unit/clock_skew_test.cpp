#include "agent/delivery/clock_skew.h"

#include <catch2/catch.hpp>
#include <cstdint>

namespace msp {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;

TEST_CASE("clocks that agree to the minute are no problem") {
  for (const auto ahead_s : {0, 60, -60})
    CHECK(delivery::skew_text(kNow + ahead_s, kNow, false).empty());
}

TEST_CASE("the clock that is wrong is named where it is known which") {
  CHECK(delivery::skew_text(kNow + 86'400, kNow, true) ==
        "this host's clock is 1 d 0 h ahead of the server's; this host's is synchronized: correct "
        "the server's, or its proxy's");
  CHECK(delivery::skew_text(kNow - 61, kNow, false) ==
        "this host's clock is 1 m 1 s behind the server's; this host's is not synchronized: run: "
        "timedatectl set-ntp true");
  CHECK(delivery::skew_text(kNow - 86'400, kNow, std::nullopt) ==
        "this host's clock is 1 d 0 h behind the server's; find out which of the two is wrong, and "
        "correct it");
}

TEST_CASE("a clock that shows a time before there was an agent is the wrong one") {
  for (const std::optional<bool> is_kept : {std::optional<bool>(), std::optional(false)}) {
    CHECK(delivery::skew_text(kNow, 5, is_kept) ==
          "this host's clock is 20833 d 7 h ahead of the server's; the server's says 1970-01-01: "
          "correct it, or its proxy's");
  }
  CHECK(delivery::skew_text(5, kNow, true) ==
        "this host's clock is 20833 d 7 h behind the server's; this host's says 1970-01-01: run: "
        "timedatectl set-ntp true");
  CHECK(delivery::skew_text(5, 1'000'000, std::nullopt)
            .ends_with("find out which of the two is wrong, and "
                       "correct it"));
}

TEST_CASE("no date is too far away to be told") {
  constexpr std::int64_t kYear9999 = 253'402'300'799;
  CHECK(delivery::skew_text(kNow, kYear9999, true) ==
        "this host's clock is 2912063 d 15 h behind the server's; this host's is synchronized: "
        "correct the server's, or its proxy's");
  CHECK(delivery::skew_text(INT64_MAX / 1'000'000'000, 0, true).find(" 106751 d 23 h ahead of ") !=
        std::string::npos);
}

}  // namespace
}  // namespace msp
