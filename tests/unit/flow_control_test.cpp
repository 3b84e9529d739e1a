#include "agent/delivery/flow_control.h"

#include <catch2/catch.hpp>

#include <algorithm>

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
  CHECK(unlimited.ready_ns() == kSecond + kMs);
}

TEST_CASE(
    "batches of a backlog are spread over the hour after an outage, and apart an interval or so") {
  constexpr auto kLive = 16 * kSecond;
  constexpr auto kApart = 20 * kSecond;
  const auto apart = [](delivery::FlowControl pace, std::int64_t now_ns, std::size_t waiting) {
    pace.batch_ended(1'000, waiting, now_ns);
    return std::max(pace.ready_ns() - now_ns, std::int64_t{0});
  };
  delivery::FlowControl pace(100'000, kLive);
  CHECK(apart(pace, kSecond, 2'000) == 0);  // there was no outage
  pace.after_outage(0, 0, 0);
  CHECK(apart(pace, 0, 1'000) == kApart);
  CHECK(apart(pace, 0, 180'000) == kApart);
  CHECK(apart(pace, 0, 360'000) == 10 * kSecond);
  CHECK(apart(pace, 1'800 * kSecond, 360'000) == 5 * kSecond);
  CHECK(apart(pace, 3'600 * kSecond, 360'000) == 0);
  CHECK(apart(pace, 0, 0) == kApart);  // a limit took what was sent
  delivery::FlowControl seldom(100'000, 75 * kSecond);
  seldom.after_outage(0, 0, 0);
  CHECK(apart(seldom, 0, 1'000) == 60 * kSecond);
  for (int i = 0; i < 100; ++i) pace.live_begins(kSecond);  // a relay's
  CHECK(apart(pace, 0, 1'000) > kSecond);
  CHECK(apart(pace, 0, 1'000) < 2 * kSecond);
  for (int i = 0; i < 100; ++i) pace.live_begins(60 * kSecond);  // after a back-off
  CHECK(apart(pace, 0, 1'000) > 19 * kSecond);
  CHECK(apart(pace, 0, 1'000) <= kApart);
  delivery::FlowControl unlimited(0, kLive);
  unlimited.after_outage(0, 0, 0);
  CHECK(apart(unlimited, 0, 1'000) == 0);
}

TEST_CASE("without a limit there is no rest, unless the endpoint is slow or overloaded") {
  delivery::FlowControl pace(0);
  pace.overloaded(0, kMs);
  pace.overloaded(0, kMs);
  pace.answered(1, 0, kSecond);
  CHECK(pace.ready_ns() == 3 * kSecond);
  pace.answered(1, 3 * kSecond, 4 * kSecond);
  CHECK(pace.ready_ns() == 4 * kSecond);
  pace.answered(1, 4 * kSecond, 7 * kSecond);
  CHECK(pace.ready_ns() == 10 * kSecond);
}

TEST_CASE("it rests as long as the request took, longer after overload, and recovers") {
  delivery::FlowControl pace(1'000'000'000);
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
