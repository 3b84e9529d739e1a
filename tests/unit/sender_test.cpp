#include "agent/delivery/sender.h"

#include <algorithm>

#include "agent/base/text.h"
#include "tests/support/sender_fixture.h"

namespace msp {

using namespace test;
using namespace std::chrono_literals;

TEST_CASE_METHOD(SenderFixture, "sender: a good day is one request for each scrape, at once") {
  start();
  produce("host", 3 * kSecond, 15 * kSecond, 20);
  run_for(5 * kMinute);
  CHECK(requests.size() == 20);
  CHECK(stored_once().size() == 40);
  CHECK(stored_at_once() == 40);
  CHECK(waiting() == 0);
  CHECK(stats.state == delivery::EndpointState::delivering);
  CHECK(sender->step().is_idle);
}

TEST_CASE_METHOD(SenderFixture, "fresh_first: live is on time while a backlog drains, paced") {
  config.catch_up_rate = 100;
  leave_backlog(3'000);
  const auto began_ns = clock.monotonic_ns();
  start();
  produce("host", 3 * kSecond, 15 * kSecond, 40);
  SECTION("the centre answers at once") {}
  SECTION("each answer takes a while") {
    answer_takes_ns = kSecond / 5;
  }
  run_for(10 * kMinute + 3 * kSecond);
  CHECK(stored_once().size() == 6'080);
  CHECK(waiting() == 0);
  CHECK(stored_at_once() == 80);
  std::int64_t last_old_ns = 0;
  std::vector<std::int64_t> old_times;
  for (const auto& [at_ns, sample] : stored) {
    if (sample.timestamp_ms >= wall_ms_of(began_ns)) continue;
    last_old_ns = at_ns;
    if (sample.name == "a") old_times.push_back(sample.timestamp_ms);
  }
  CHECK(std::is_sorted(old_times.begin(), old_times.end()));
  // 6'000 samples at 100 a second; the last request is not waited for.
  const auto last_ns =
      (6'000 - static_cast<std::int64_t>(delivery::FlowControl::kSamplesMax)) / 100;
  CHECK(last_old_ns - began_ns >= last_ns * kSecond);
  CHECK(last_old_ns - began_ns < 4 * kMinute);
}

TEST_CASE_METHOD(SenderFixture, "a backlog is sent at its rate and no faster") {
  config.catch_up_rate = 1'000;
  leave_backlog(100'000);
  start();
  const auto began_ns = clock.monotonic_ns();
  run_for(10 * kMinute);
  REQUIRE(waiting() == 0);
  REQUIRE(requests.size() > 3);
  std::size_t before = 0;
  for (const auto& request : requests) {
    // What went before this request has had its time.
    const auto since_first = request.at_ns - requests.front().at_ns;
    CHECK(since_first >= static_cast<std::int64_t>(before) * kSecond / 1'000 - kSecond);
    before += request.samples.size();
  }
  CHECK(requests.front().at_ns - began_ns <= kMinute);
}

TEST_CASE_METHOD(SenderFixture, "ten streams cost one request for each interval") {
  start();
  produce("host", 3 * kSecond, 15 * kSecond, 20);
  for (int i = 0; i < 9; ++i) {
    static const char* const kNames[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"};
    produce(kNames[i], (4 + i) * kSecond, 15 * kSecond, 20, set_named(kNames[i]));
  }
  run_for(3 * kSecond + 20 * 15 * kSecond + 16 * kSecond);
  CHECK(requests.size() == 21);  // the last one is that of nine streams without a host
  CHECK(stored_once().size() == 20 * 20);
  CHECK(waiting() == 0);
  for (std::size_t i = 1; i + 1 < requests.size(); ++i) {
    CHECK(requests[i].at_ns - requests[i - 1].at_ns == 15 * kSecond);
    CHECK(requests[i].samples.size() == 20);
  }
}

TEST_CASE_METHOD(SenderFixture,
                 "send_every: four scrapes of a series in one request, as the host is due") {
  config.send_every = 60s;
  start();
  const auto began_ns = clock.monotonic_ns();
  produce("host", 3 * kSecond, 15 * kSecond, 41);
  produce("mysqld", 10 * kSecond, 15 * kSecond, 40, set_named("mysqld"));
  run_for(11 * kMinute);
  REQUIRE(requests.size() >= 11);
  for (std::size_t i = 1; i < 11; ++i) {
    INFO("request " << i);
    CHECK(requests[i].at_ns - began_ns == 3 * kSecond + static_cast<std::int64_t>(i) * kMinute);
    CHECK(requests[i].samples.size() == 16);
    for (const auto* const name : {"a", "mysqld_b"}) {
      CHECK(std::count_if(requests[i].samples.begin(), requests[i].samples.end(),
                          [&](const Sample& sample) { return sample.name == name; }) == 4);
    }
  }
  CHECK(stored_once().size() == static_cast<std::size_t>(2 * appended));
  CHECK(waiting() == 0);
}

TEST_CASE_METHOD(SenderFixture,
                 "fresh_first: more samples than a request has are on time, all of them") {
  std::vector<std::string> names;
  for (int i = 0; i < 10'000; ++i) names.push_back(cat("m", i));
  const auto set = series_set(names);
  start();
  produce("host", 3 * kSecond, 15 * kSecond, 5);
  static const char* const kNames[] = {"s0", "s1", "s2", "s3"};
  for (int i = 0; i < 4; ++i) {
    produce(kNames[i], (4 + i) * kSecond, 15 * kSecond, 4, set);
  }
  run_for(90 * kSecond);
  CHECK(waiting() == 0);
  CHECK(stored.size() == 5 * 2 + 4 * 40'000);
  for (const auto& [at_ns, sample] : stored) {
    if (wall_ms_of(at_ns) - sample.timestamp_ms <= 15'000) continue;
    FAIL(sample.name << " of " << sample.timestamp_ms << " came " << wall_ms_of(at_ns));
  }
  CHECK(requests.size() <= 2 * 5);
}

TEST_CASE_METHOD(SenderFixture,
                 "a stream without a host beside it waits send_every and no longer") {
  start();
  produce("mysqld", kSecond, 15 * kSecond, 4);
  run_for(2 * kMinute);
  CHECK(waiting() == 0);
  for (const auto& [at_ns, sample] : stored) {
    CHECK(wall_ms_of(at_ns) - sample.timestamp_ms <= 15'000);
  }
}

TEST_CASE_METHOD(SenderFixture, "sender: a stop delivers what waits, due or not") {
  config.send_every = 60s;
  start();
  produce("host", kSecond, 15 * kSecond, 3);
  run_for(40 * kSecond);
  CHECK(requests.size() == 1);
  CHECK(waiting() == 4);
  stop.request_stop(clock.monotonic_ns() + 10 * kSecond);
  SECTION("all of it where the endpoint works") {
    while (!sender->step().is_idle) REQUIRE(requests.size() < 10);
    CHECK(waiting() == 0);
    CHECK(stored_once().size() == 6);
  }
  SECTION("during a back-off it is tried once more") {
    judge = [](const Received&) { return status(503); };
    CHECK_FALSE(sender->step().made_progress);
    CHECK(requests.size() == 2);
    CHECK(waiting() == 4);
  }
  SECTION("what its deadline has ended is no failure of the endpoint") {
    judge = [](const Received&) { return status(0); };
    answer_takes_ns = 11 * kSecond;
    CHECK_FALSE(sender->step().made_progress);
    CHECK(stats.state == delivery::EndpointState::delivering);
    CHECK(stats.retries == 0);
    CHECK(waiting() == 4);
  }
}

TEST_CASE_METHOD(SenderFixture,
                 "oldest_first: what does not fit into a request does not wait for send_every") {
  config.protocol = config::Protocol::prometheus_1_0;
  config.send_every = 240s;
  // All but the probe is refused, so that requests become small.
  judge = [](const Received& request) { return status(request.is_probe() ? 204 : 400); };
  start();
  produce("host", kSecond, 60 * kSecond, 60);
  run_for(kHour + 6 * kMinute);
  CHECK(waiting() == 0);
  CHECK(stats.samples_rejected == 120);
}

TEST_CASE_METHOD(SenderFixture,
                 "sender: 413 to the first live request holds up none of its samples") {
  judge = [](const Received& request) { return status(request.samples.size() > 1 ? 413 : 204); };
  start();
  produce("host", kSecond, 15 * kSecond, 4);
  run_for(2 * kMinute);
  CHECK(waiting() == 0);
  CHECK(stored_once().size() == 8);
  CHECK(stored_at_once() == 8);
}

TEST_CASE_METHOD(SenderFixture,
                 "sender: two samples of a series at one time are one, and counted") {
  start();
  append_now("host");
  append_now("other");
  run_for(kSecond);
  CHECK(requests.size() == 1);
  CHECK(stored_once().size() == 2);
  CHECK(stats.samples_duplicate == 2);
  CHECK(stats.samples_sent == 2);
  CHECK(waiting() == 0);
}

TEST_CASE_METHOD(SenderFixture,
                 "sender: what a relay received goes together after a moment, as 1.0") {
  SECTION("to VictoriaMetrics") {}
  SECTION("where the protocol is 2.0") {
    config.protocol = config::Protocol::prometheus_2_0;
  }
  start();
  const auto began_ns = clock.monotonic_ns();
  const auto now_ms = clock.wall_ns() / kNsPerMs;
  for (int i = 0; i < 3; ++i) {
    clock.at(began_ns + (1'000 + i * 100) * kNsPerMs,
             [this, i, now_ms] { queue->append(relayed(cat("r", i), now_ms + i)); });
  }
  run_for(5 * kSecond);
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].at_ns - began_ns == 1'250 * kNsPerMs);
  CHECK(requests[0].samples.size() == 3);
  CHECK(requests[0].encoding != "snappy 2");
  CHECK(stats.samples_sent == 3);
  CHECK(waiting() == 0);
  // The host's own samples are in the protocol that is configured.
  append_now("host");
  run_for(kSecond);
  REQUIRE(requests.size() == 2);
  CHECK((requests[1].encoding == "snappy 2") ==
        (config.protocol == config::Protocol::prometheus_2_0));
  // Beside them, in a batch with them, too.
  clock.advance(kSecond);
  queue->append(relayed("r3", now_ms));
  append_now("host");
  run_for(kSecond);
  CHECK(stored_once().size() == 3 + 2 + 3);
  CHECK(waiting() == 0);
  CHECK(requests.size() == (config.protocol == config::Protocol::prometheus_2_0 ? 4 : 3));
}

TEST_CASE_METHOD(SenderFixture,
                 "sender: a scrape that comes while the backlog is on its way goes once") {
  leave_backlog(50);
  answer_takes_ns = kSecond;
  start();
  produce("host", kSecond / 3, kSecond, 90);
  run_for(3 * kMinute);
  CHECK(waiting() == 0);
  CHECK(stored_once().size() == static_cast<std::size_t>(2 * appended));
  CHECK(stats.samples_sent == static_cast<std::uint64_t>(2 * appended));
}

}  // namespace msp
