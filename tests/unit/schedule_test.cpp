#include "agent/sources/schedule.h"

#include <catch2/catch.hpp>

namespace msp {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kWall = 1'700'000'003 * kSecond;
constexpr std::int64_t kSteady = 5'000 * kSecond;

std::int64_t second_tick(std::string_view identity, std::int64_t wall_ns) {
  sources::Schedule schedule(15s, identity, wall_ns, kSteady);
  schedule.tick(kSteady);
  return wall_ns + schedule.due_ns() - kSteady;
}

}  // namespace

TEST_CASE("the first tick is at once, the next ones a whole interval apart") {
  sources::Schedule schedule(15s, "alpha/web-01", kWall, kSteady);
  CHECK(schedule.due_ns() == kSteady);
  CHECK(schedule.tick(kSteady) == 0);
  const auto second = schedule.due_ns();
  CHECK(second > kSteady);
  CHECK(second <= kSteady + 15 * kSecond);
  CHECK(schedule.tick(second + 1000) == 0);
  CHECK(schedule.due_ns() == second + 15 * kSecond);
}

TEST_CASE("a host keeps its phase over restarts, and hosts have different ones") {
  const auto phase = second_tick("alpha/web-01", kWall) % (15 * kSecond);
  CHECK(second_tick("alpha/web-01", kWall + 1234567) % (15 * kSecond) == phase);
  CHECK(second_tick("alpha/web-02", kWall) % (15 * kSecond) != phase);
}

TEST_CASE("a fleet spreads over the interval") {
  int slots[15] = {};
  for (int i = 0; i < 15'000; ++i) {
    const auto at = second_tick("customer-7/server-" + std::to_string(i), kWall);
    ++slots[at / kSecond % 15];
  }
  for (const int hosts : slots) CHECK(std::abs(hosts - 1000) < 200);
}

TEST_CASE("missed ticks are counted and not made up for") {
  sources::Schedule schedule(15s, "a", kWall, kSteady);
  schedule.tick(kSteady);
  const auto due = schedule.due_ns();
  CHECK(schedule.tick(due + 47 * kSecond) == 3);
  CHECK(schedule.due_ns() == due + 60 * kSecond);
}

TEST_CASE("a tick that is late by less than an interval is not a missed one") {
  sources::Schedule schedule(15s, "a", kWall, kSteady);
  schedule.tick(kSteady);
  const auto due = schedule.due_ns();
  CHECK(schedule.tick(due + 14 * kSecond) == 0);
  CHECK(schedule.due_ns() == due + 15 * kSecond);
}

}  // namespace msp
