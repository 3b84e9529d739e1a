// What the sender sends first, and how it finds out what the endpoint takes.
#include <algorithm>
#include <map>

#include "tests/support/sender_fixture.h"

namespace msp {

using namespace test;
using namespace std::chrono_literals;

TEST_CASE_METHOD(SenderFixture, "oldest_first: whatever happens, a series goes in its order") {
  config.order = config::Order::oldest_first;
  leave_backlog(500);
  start();
  produce("host", 3 * kSecond, 15 * kSecond, 120);
  spill_every(2 * kSecond, 900);
  const auto down_from_ns = clock.monotonic_ns() + 5 * kMinute;
  judge = [&](const Received& request) {
    const auto since_ns = request.at_ns - down_from_ns;
    if (since_ns > 0 && since_ns < 10 * kMinute) return status(503);
    return status(requests.size() % 7 == 3 ? 503 : 204);
  };
  run_for(45 * kMinute);
  CHECK(waiting() == 0);
  CHECK(stored_once().size() == static_cast<std::size_t>(2 * appended));
  std::map<std::string, std::int64_t> last_ms;
  for (const auto& [at_ns, sample] : stored) {
    auto& last = last_ms[sample.name];
    if (sample.timestamp_ms <= last) FAIL_CHECK("out of order at " << at_ns);
    last = sample.timestamp_ms;
  }
}

TEST_CASE_METHOD(SenderFixture, "auto: an endpoint without zstd is asked for the order it takes") {
  config.protocol = config::Protocol::automatic;
  int probes = 0;
  std::vector<int> to_probes;  // the answers, the last one again and again
  judge = [&](const Received& request) {
    if (request.encoding == "zstd 1") return status(400);
    if (!request.is_probe()) return status(204);
    return status(
        to_probes[std::min<std::size_t>(to_probes.size() - 1, static_cast<std::size_t>(probes++))]);
  };
  const auto backlog_is_sorted = [&] {
    std::vector<std::int64_t> times;
    for (const auto& [at_ns, sample] : stored) {
      if (sample.name == "a") times.push_back(sample.timestamp_ms);
    }
    return std::is_sorted(times.begin(), times.end());
  };
  leave_backlog(200);
  const auto run = [&] {
    start();
    append_now("host");
    produce("host", 15 * kSecond, 15 * kSecond, 9);
    run_for(4 * kMinute);
    CHECK(waiting() == 0);
    CHECK(stored_once().size() == static_cast<std::size_t>(2 * appended));
  };
  SECTION("it takes any: the newest goes first from then on") {
    to_probes = {204};
    run();
    CHECK(probes == 2);
    CHECK_FALSE(backlog_is_sorted());
  }
  SECTION("a 400 to the older one: in order") {
    to_probes = {204, 400};
    run();
    CHECK(probes == 2);
    CHECK(backlog_is_sorted());
  }
  SECTION("a 409 to the older one: in order") {
    to_probes = {204, 409};
    run();
    CHECK(probes == 2);
    CHECK(backlog_is_sorted());
  }
  SECTION("a 503 says nothing: it is asked again") {
    to_probes = {503, 204, 503, 204, 400};
    run();
    CHECK(probes == 5);
    CHECK(backlog_is_sorted());
  }
  SECTION("no answer says nothing: it is asked again") {
    to_probes = {0, 204, 204};
    run();
    CHECK(probes == 3);
    CHECK_FALSE(backlog_is_sorted());
  }
}

}  // namespace msp
