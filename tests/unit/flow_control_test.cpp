#include "agent/delivery/flow_control.h"

#include <catch2/catch.hpp>

#include "agent/base/clock.h"
#include "agent/delivery/size_limit.h"

namespace msp {

constexpr std::int64_t kMs = kNsPerMs;
constexpr std::int64_t kSecond = kNsPerSecond;

TEST_CASE("without an outage a backlog is sent at once") {
  CHECK(delivery::FlowControl(100'000).ready_ns() == 0);
}

TEST_CASE("after an outage the backlog waits up to as long, at most a minute") {
  const auto waits = [](std::int64_t outage_ns, double random) {
    delivery::FlowControl pace(0);
    pace.after_outage(outage_ns, random, 7);
    return pace.ready_ns() - 7;
  };
  CHECK(waits(10 * kSecond, 0.0) == 0);
  CHECK(waits(10 * kSecond, 0.5) == 5 * kSecond);
  CHECK(waits(3600 * kSecond, 0.5) == 30 * kSecond);
  CHECK(waits(-3600 * kSecond, 0.5) == 0);  // the wall clock went back
}

TEST_CASE("the rate bounds what is sent in a second") {
  delivery::FlowControl pace(100'000);
  pace.answered(10'000, kSecond, kSecond + kMs);
  CHECK(pace.ready_ns() == kSecond + 100 * kMs);
  delivery::FlowControl unlimited(0);
  unlimited.answered(10'000, kSecond, kSecond + kMs);
  CHECK(unlimited.ready_ns() == kSecond + 2 * kMs);
}

TEST_CASE("it rests as long as the request took, longer after overload, and recovers") {
  delivery::FlowControl pace(0);
  std::int64_t now = 0;
  const auto rest_after = [&](std::int64_t took) {
    now = pace.ready_ns() + kSecond;
    pace.answered(1, now, now + took);
    return pace.ready_ns() - now - took;
  };
  CHECK(rest_after(300 * kMs) == 300 * kMs);
  for (int i = 0; i < 3; ++i) pace.overloaded(now, now + kMs);
  CHECK(rest_after(300 * kMs) == 4 * 300 * kMs);  // 8, halved by the success
  CHECK(rest_after(300 * kMs) == 2 * 300 * kMs);
  CHECK(rest_after(300 * kMs) == 300 * kMs);
  CHECK(rest_after(300 * kMs) == 300 * kMs);
  for (int i = 0; i < 100; ++i) pace.overloaded(now, now + kMs);
  CHECK(rest_after(100 * kMs) == delivery::FlowControl::kRestFactorMax / 2 * 100 * kMs);
  for (int i = 0; i < 100; ++i) pace.overloaded(now, now + kMs);
  CHECK(rest_after(9 * kSecond) == delivery::FlowControl::kWaitMaxNs);
}

TEST_CASE("requests shrink where they are slow and grow where they are fast") {
  delivery::FlowControl pace(0);
  REQUIRE(pace.samples_max() == delivery::FlowControl::kSamplesMax);
  pace.answered(1, 0, kSecond);
  CHECK(pace.samples_max() == delivery::FlowControl::kSamplesMax);
  pace.answered(1, 0, 3 * kSecond);
  CHECK(pace.samples_max() == delivery::FlowControl::kSamplesMax / 2);
  pace.overloaded(0, 10 * kSecond);
  CHECK(pace.samples_max() == delivery::FlowControl::kSamplesMax / 4);
  pace.overloaded(0, kMs);  // a 503 that came at once says nothing about the size
  CHECK(pace.samples_max() == delivery::FlowControl::kSamplesMax / 4);
  for (int i = 0; i < 10; ++i) pace.answered(1, 0, 3 * kSecond);
  CHECK(pace.samples_max() == delivery::FlowControl::kSamplesMin);
  for (int i = 0; i < 10; ++i) pace.answered(1, 0, 100 * kMs);
  CHECK(pace.samples_max() == delivery::FlowControl::kSamplesMax);
}

TEST_CASE("a size that was too large is remembered for a day") {
  constexpr auto kDay = delivery::SizeLimit::kRememberNs;
  delivery::SizeLimit limit;
  CHECK(limit.raw_max(0) == delivery::Encoder::kRawBytesMax);
  limit.too_large(1'000'000, 5);
  CHECK(limit.raw_max(5) == 500'000);
  limit.too_large(400'000, 10);
  CHECK(limit.raw_max(9 + kDay) == 200'000);
  CHECK(limit.raw_max(10 + kDay) == delivery::Encoder::kRawBytesMax);
  limit.too_large(1'000, 20);
  limit.reset();
  CHECK(limit.raw_max(20) == delivery::Encoder::kRawBytesMax);
}

}  // namespace msp
