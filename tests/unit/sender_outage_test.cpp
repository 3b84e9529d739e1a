// When the sender tries again, and what it does when the endpoint is back.
#include "tests/support/sender_fixture.h"

namespace msp {

using namespace test;
using namespace std::chrono_literals;

TEST_CASE("the back-off doubles from a second to a minute, with full jitter") {
  CHECK(delivery::backoff(1, 0.0) == 0s);
  CHECK(delivery::backoff(1, 0.5) == 500ms);
  CHECK(delivery::backoff(2, 0.5) == 1s);
  CHECK(delivery::backoff(6, 0.5) == 16s);
  CHECK(delivery::backoff(7, 0.5) == 30s);
  CHECK(delivery::backoff(1'000'000, 0.5) == 30s);
}

TEST_CASE("what only an operator can fix is tried about once a minute") {
  CHECK(delivery::hold_time(0.0) == 45s);
  CHECK(delivery::hold_time(0.5) == 60s);
}

TEST_CASE_METHOD(SenderFixture,
                 "sender: an endpoint that fails is tried with the newest alone, ever less often") {
  judge = [](const Received&) { return status(503); };
  start();
  produce("host", kSecond, 15 * kSecond, 120);
  run_for(30 * kMinute);
  REQUIRE(requests.size() > 20);
  CHECK(requests.size() < 120);
  for (std::size_t i = 1; i < requests.size(); ++i) {
    CHECK(requests[i].samples.size() == 2);
    CHECK(requests[i].at_ns - requests[i - 1].at_ns <= kMinute);
    CHECK(wall_ms_of(requests[i].at_ns) - requests[i].samples[0].timestamp_ms <= 15'000);
  }
  CHECK(stats.state == delivery::EndpointState::retrying);
  CHECK(stats.retries == requests.size());
  CHECK(waiting() == 240);
  CHECK(stats.last_error() == "HTTP 503");
}

TEST_CASE_METHOD(
    SenderFixture,
    "sender: an endpoint that is away is tried once more soon, then once in an interval") {
  auto every = 15 * kSecond;
  judge = [](const Received&) { return status(502); };
  SECTION("that answers") {}
  SECTION("that refuses connections") {
    judge = [](const Received&) { return status(0); };
  }
  SECTION("whose answers take a while") {
    answer_takes_ns = kSecond;
  }
  SECTION("with send_every") {
    config.send_every = 45s;
    every = 45 * kSecond;
  }
  SECTION("with a send_every above a minute") {
    config.send_every = 5min;
    every = kMinute;
  }
  SECTION("that takes the oldest first") {
    config.order = config::Order::oldest_first;
  }
  start();
  produce("host", 3 * kSecond, 15 * kSecond, 80);
  produce("mysqld", 10 * kSecond, 15 * kSecond, 80, set_named("mysqld"));
  clock.at(clock.monotonic_ns() + 5 * kMinute, [this] { clock.step_wall(-kHour); });
  run_for(20 * kMinute);
  const auto count = static_cast<std::size_t>(20 * kMinute / every);
  REQUIRE(requests.size() >= count - 1);
  CHECK(requests.size() <= count + 2);
  CHECK(requests[1].at_ns - requests[0].at_ns <= kSecond + answer_takes_ns);
  for (std::size_t i = 2; i < requests.size(); ++i) {
    CHECK(requests[i].at_ns - requests[i - 1].at_ns == every);
    CHECK(requests[i].samples.size() <= 4);
  }
}

TEST_CASE_METHOD(SenderFixture, "sender: an endpoint that answers late is tried ever less often") {
  answer_takes_ns = 3 * kSecond;
  judge = [](const Received&) { return status(502); };
  start();
  produce("host", 3 * kSecond, 15 * kSecond, 80);
  run_for(20 * kMinute);
  CHECK(requests.size() < 60);
}

TEST_CASE_METHOD(SenderFixture, "sender: a backlog makes fewer requests than live samples do") {
  leave_backlog(40'000);  // 4 batches
  const auto old_ones = [&] {
    std::vector<std::int64_t> times;
    for (const auto& request : requests) {
      if (request.samples.size() > 100) times.push_back(request.at_ns);
    }
    return times;
  };
  const auto began_ns = clock.monotonic_ns();
  const auto run = [&] {
    start();
    produce("host", 3 * kSecond, 15 * kSecond, 40);
    run_for(10 * kMinute);
    CHECK(waiting() == 0);
    CHECK(stored_once().size() == static_cast<std::size_t>(2 * appended));
    CHECK(stored_at_once() == 80);
    REQUIRE(!old_ones().empty());
    CHECK(old_ones().front() - began_ns <= kMinute);
  };
  SECTION("as a fleet needs whose centre is back") {
    run();
    const auto times = old_ones();
    REQUIRE(times.size() == 4);
    for (std::size_t i = 1; i < times.size(); ++i) {
      CHECK(times[i] - times[i - 1] >= 75 * kSecond / 4);
      CHECK(times[i] - times[i - 1] < 19 * kSecond);
    }
  }
  SECTION("but not unless all of a batch is there: a stop would send it again") {
    judge = [](const Received& request) {
      return status(request.samples.size() > 6'000 ? 413 : 204);
    };
    run();
    const auto times = old_ones();
    int apart = 0;
    for (std::size_t i = 1; i < times.size(); ++i) {
      const auto wait_ns = times[i] - times[i - 1];
      if (wait_ns >= kSecond) ++apart;
      CHECK((wait_ns < kSecond || wait_ns >= 75 * kSecond / 4));
    }
    CHECK(apart == 3);
  }
  SECTION("unless it is told to be fast") {
    config.catch_up_rate = 0;
    run();
    const auto times = old_ones();
    REQUIRE(times.size() == 4);
    CHECK(times.back() - times.front() < kSecond);
  }
  SECTION("unless nothing is fresh before all of it is there") {
    config.order = config::Order::oldest_first;
    start();
    run_for(2 * kMinute);
    CHECK(waiting() == 0);
    const auto times = old_ones();
    REQUIRE(times.size() == 4);
    CHECK(times.back() - times.front() < 2 * kSecond);
  }
}

TEST_CASE_METHOD(SenderFixture, "sender: a refused login is held, and nothing is lost") {
  judge = [](const Received&) { return status(401); };
  start();
  produce("host", kSecond, 15 * kSecond, 40);
  run_for(10 * kMinute);
  CHECK(stats.state == delivery::EndpointState::misconfigured);
  REQUIRE(requests.size() >= 8);
  for (std::size_t i = 1; i < requests.size(); ++i) {
    CHECK(requests[i].at_ns - requests[i - 1].at_ns >= 45 * kSecond);
    CHECK(requests[i].at_ns - requests[i - 1].at_ns <= 75 * kSecond);
  }
  judge = [](const Received&) { return status(204); };
  run_for(5 * kMinute);
  CHECK(stored_once().size() == 80);
  CHECK(stats.state == delivery::EndpointState::delivering);
}

TEST_CASE_METHOD(SenderFixture, "sender: Retry-After is kept to, and a tenth more at most") {
  judge = [](const Received&) {
    auto answer = status(429);
    answer.retry_after = 100s;
    return answer;
  };
  start();
  produce("host", kSecond, 15 * kSecond, 60);
  run_for(15 * kMinute);
  REQUIRE(requests.size() >= 8);
  for (std::size_t i = 1; i < requests.size(); ++i) {
    CHECK(requests[i].at_ns - requests[i - 1].at_ns >= 100 * kSecond);
    CHECK(requests[i].at_ns - requests[i - 1].at_ns <= 110 * kSecond);
  }
}

TEST_CASE_METHOD(
    SenderFixture,
    "sender: a day of outage is caught up, live comes on time from the first success") {
  const auto began_ns = clock.monotonic_ns();
  bool is_up = false;
  judge = [&](const Received&) { return status(is_up ? 204 : 0); };
  start();
  produce("host", 3 * kSecond, 15 * kSecond, 4 * 60 * 25);
  spill_every(10 * kSecond, 6 * 60 * 25);
  run_for(24 * kHour);
  CHECK(requests.size() <= 24 * 60 * 4 + 2);
  CHECK(waiting() == 2 * 24 * 60 * 4);
  const auto tries = requests.size();
  is_up = true;
  run_for(kHour);
  CHECK(waiting() == 0);
  CHECK(stored_once().size() == static_cast<std::size_t>(2 * appended));
  for (auto reason = 0u; reason < queue::kDropReasons; ++reason) {
    CHECK(dropped(0, static_cast<queue::DropReason>(reason)) == 0);
  }
  REQUIRE(requests.size() > tries);
  const auto first_ns = requests[tries].at_ns;
  CHECK(first_ns - began_ns <= 24 * kHour + 15 * kSecond);
  for (const auto& [at_ns, sample] : stored) {
    if (sample.timestamp_ms <= wall_ms_of(first_ns)) continue;
    if (sample.timestamp_ms != wall_ms_of(at_ns)) FAIL_CHECK("late at " << at_ns);
  }
}

}  // namespace msp
