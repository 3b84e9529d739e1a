#include "agent/remote_write/sender.h"

#include <catch2/catch.hpp>

namespace msp {

using namespace std::chrono_literals;

TEST_CASE("every status has its rule") {
  for (const int status : {200, 204, 299}) CHECK(judge(status) == Verdict::delivered);
  for (const int status : {0, 301, 308, 401, 403, 404, 408, 429, 500, 502, 503, 504, 599}) {
    INFO(status);
    CHECK(judge(status) == Verdict::retry);
  }
  for (const int status : {400, 409, 413, 415, 422}) {
    INFO(status);
    CHECK(judge(status) == Verdict::rejected);
  }
}

TEST_CASE("the back-off doubles from a second to a minute, with full jitter") {
  CHECK(backoff(1, 0.0) == 0s);
  CHECK(backoff(1, 0.5) == 500ms);
  CHECK(backoff(2, 0.5) == 1s);
  CHECK(backoff(6, 0.5) == 16s);
  CHECK(backoff(7, 0.5) == 30s);
  CHECK(backoff(1'000'000, 0.5) == 30s);
}

}  // namespace msp
