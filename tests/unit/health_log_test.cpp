#include "agent/run/health_log.h"

#include <catch2/catch.hpp>

#include "agent/base/text.h"

namespace msp {
namespace {

constexpr std::int64_t kTick = 15'000'000'000;

TEST_CASE("a collector's failure and its end are a line each") {
  run::HealthLog log;
  const auto error = failed("/proc/x: odd");
  const auto failure = log.line("cpu", &error, 1);
  REQUIRE(failure);
  CHECK(failure->level == LogLevel::warning);
  CHECK(failure->text == "cpu: /proc/x: odd");
  const auto end = log.line("cpu", nullptr, 2);
  REQUIRE(end);
  CHECK(end->level == LogLevel::info);
  CHECK(end->text == "cpu: works again");
  const auto missing = no_data("no such file");
  CHECK(log.line("netdev", &missing, 3)->level == LogLevel::debug);
  CHECK_FALSE(log.line("netdev", nullptr, 4));
}

TEST_CASE("a failure with other words at each tick writes a few lines an hour") {
  run::HealthLog log;
  int lines = 0;
  for (std::int64_t tick = 0; tick < 2 * 240; ++tick) {
    const auto error = failed(cat("got '", tick, "'"));
    lines += log.line("stat", &error, 1 + tick * kTick) ? 1 : 0;
  }
  CHECK(lines == 6);
}

TEST_CASE("a collector that fails at every second tick writes a few lines an hour") {
  run::HealthLog log;
  const auto error = failed("odd");
  int lines = 0;
  for (std::int64_t tick = 0; tick < 240; ++tick) {
    lines += log.line("stat", tick % 2 == 0 ? &error : nullptr, 1 + tick * kTick) ? 1 : 0;
  }
  CHECK(lines == 6);
}

}  // namespace
}  // namespace msp
