#include "agent/remote_write/sender.h"

#include <catch2/catch.hpp>

namespace msp {

using namespace std::chrono_literals;

TEST_CASE("the back-off doubles from a second to a minute, with full jitter") {
  CHECK(backoff(1, 0.0) == 0s);
  CHECK(backoff(1, 0.5) == 500ms);
  CHECK(backoff(2, 0.5) == 1s);
  CHECK(backoff(6, 0.5) == 16s);
  CHECK(backoff(7, 0.5) == 30s);
  CHECK(backoff(1'000'000, 0.5) == 30s);
}

TEST_CASE("what an operator must mend is tried about once a minute") {
  CHECK(hold_time(0.0) == 45s);
  CHECK(hold_time(0.5) == 60s);
}

}  // namespace msp
