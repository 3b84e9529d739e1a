#include "agent/run/outage.h"

#include <catch2/catch.hpp>

#include "agent/cli/host_check.h"

namespace msp {
namespace {

constexpr std::uint64_t kMib = 1 << 20;

TEST_CASE("the buffer has what max_size and min_free leave it") {
  const config::BufferConfig buffer{
      .path = "/b", .bytes_max = 256 * kMib, .free_bytes_min = 512 * kMib};
  const auto room = [&](std::uint64_t used, std::uint64_t free, std::uint64_t total) {
    return run::buffer_room(buffer, used, run::DiskSpace{free, total});
  };
  CHECK(room(0, 100'000 * kMib, 200'000 * kMib) == 256 * kMib);
  CHECK(room(0, 600 * kMib, 200'000 * kMib) == 88 * kMib);
  CHECK(room(0, 100 * kMib, 200'000 * kMib) == 0);
  CHECK(room(0, 100 * kMib, 1'000 * kMib) == 50 * kMib);  // 5 % of a small disk stay
  CHECK(room(56 * kMib, 100'000 * kMib, 200'000 * kMib) == 200 * kMib);
  CHECK(room(300 * kMib, 100'000 * kMib, 200'000 * kMib) == 0);
  CHECK(run::buffer_room(buffer, 56 * kMib, std::nullopt) == 200 * kMib);
}

TEST_CASE("a sample takes what was measured, where there is enough to measure") {
  CHECK(run::bytes_per_sample(0, 0) == Approx(1.1));
  CHECK(run::bytes_per_sample(kMib - 1, 1000) == Approx(1.1));
  CHECK(run::bytes_per_sample(3 * kMib, kMib) == Approx(3));
  CHECK(run::bytes_per_sample(3 * kMib, 0) == Approx(1.1));
  CHECK(run::bytes_per_sample(3 * kMib, 5) == Approx(1.1));           // most was delivered since
  CHECK(run::bytes_per_sample(3 * kMib, 100 * kMib) == Approx(1.1));  // most is in memory
}

TEST_CASE("the outage that the buffer holds ends with its size or its age") {
  config::BufferConfig limits;
  limits.age_max = std::chrono::seconds(500);
  CHECK(run::outage_seconds(limits, 800, 5, 2, 0) == Approx(80));
  CHECK(run::outage_seconds(limits, 1000, 1, 1, 100) == Approx(400));
  CHECK(run::outage_seconds(limits, 0, 1, 1, 100) == 0);
  CHECK(run::outage_seconds(limits, 1000, 0, 1, 0) == Approx(500));
  CHECK(run::outage_seconds(limits, 1000, 1, 1, 501) == 0);
  limits.age_max = std::chrono::hours(24 * 365);
  // 256 MiB at 450 samples of 1.1 bytes every 15 s.
  const auto seconds = run::outage_seconds(limits, 256 * kMib, 450.0 / 15, 1.1, 0);
  CHECK(cli::about(static_cast<std::int64_t>(seconds)) == "94 days");
}

TEST_CASE("an outage in words") {
  CHECK(cli::about(7 * 24 * 3600) == "7 days");
  CHECK(cli::about(47 * 3600) == "47 hours");
  CHECK(cli::about(60) == "1 minute");
}

}  // namespace
}  // namespace msp
