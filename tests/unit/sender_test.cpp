// The sender against a centre in memory, on a clock of the test's own: no server, no thread, no
// real time. A day of outage takes a moment.
#include "agent/delivery/sender.h"

#include <snappy.h>
#include <zstd.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/delivery/order_test.h"
#include "agent/queue/compression.h"
#include "request_v2.pb.h"
#include "tests/support/queue_fixture.h"
#include "write_request.pb.h"

namespace msp {
namespace {

using namespace test;
using namespace std::chrono_literals;

constexpr std::int64_t kSecond = kNsPerSecond;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;

struct Sample {
  std::string name;
  std::int64_t timestamp_ms;
  friend auto operator<=>(const Sample&, const Sample&) = default;
};

/// One request as the centre reads it.
struct Received {
  std::int64_t at_ns;
  std::string encoding;  // "zstd 1", "snappy 1", "snappy 2"
  std::vector<Sample> samples;

  bool is_probe() const { return samples.size() == 1 && samples[0].name == kProbe.name; }
};

std::string message_of(std::string_view body, bool is_zstd) {
  std::string message;
  if (is_zstd) {
    message.resize(ZSTD_getFrameContentSize(body.data(), body.size()));
    REQUIRE(ZSTD_decompress(message.data(), message.size(), body.data(), body.size()) ==
            message.size());
  } else {
    REQUIRE(snappy::Uncompress(body.data(), body.size(), &message));
  }
  return message;
}

Received read_request(std::int64_t at_ns, std::string_view body,
                      const std::vector<std::string>& headers) {
  const auto says = [&](std::string_view part) {
    return std::any_of(headers.begin(), headers.end(), [&](const std::string& header) {
      return header.find(part) != std::string::npos;
    });
  };
  const bool is_zstd = says("Content-Encoding: zstd");
  Received received{at_ns, is_zstd ? "zstd 1" : "snappy 1", {}};
  const auto message = message_of(body, is_zstd);
  if (says("write.v2.Request")) {
    received.encoding = "snappy 2";
    io::prometheus::write::v2::Request request;
    REQUIRE(request.ParseFromString(message));
    for (const auto& series : request.timeseries()) {
      const auto& name = request.symbols(static_cast<int>(series.labels_refs(1)));
      for (const auto& sample : series.samples()) {
        received.samples.push_back({name, sample.timestamp()});
      }
    }
    return received;
  }
  prometheus::WriteRequest request;
  REQUIRE(request.ParseFromString(message));
  for (const auto& series : request.timeseries()) {
    for (const auto& sample : series.samples()) {
      received.samples.push_back({series.labels(0).value(), sample.timestamp()});
    }
  }
  return received;
}

HttpAnswer status(int code) {
  HttpAnswer answer;
  answer.status = code;
  answer.written_header = code / 100 == 2;
  if (code == 0) answer.error = "connection refused by h:80";
  return answer;
}

struct SenderFixture : QueueFixture {
  // The centre.
  std::function<HttpAnswer(const Received&)> judge = [](const Received&) { return status(204); };
  std::int64_t answer_takes_ns = 0;
  std::vector<Received> requests;
  std::vector<std::pair<std::int64_t, Sample>> stored;  // when it came

  EndpointConfig config;
  EndpointStats stats{"http://h/w"};
  StopSource stop{clock};
  std::unique_ptr<Sender> sender;

  SenderFixture() {
    config.url = "http://h/w";
    config.protocol = Protocol::victoriametrics;
  }

  void start(std::uint64_t seed = 1) {
    sender = std::make_unique<Sender>(
        Sender::Setup{config, 15s, *queue, 0, stats, clock, seed},
        [this](std::string_view body, const std::vector<std::string>& headers) {
          auto request = read_request(clock.monotonic_ns(), body, headers);
          clock.advance(answer_takes_ns);
          auto answer = judge(request);
          if (answer.status / 100 == 2) {
            for (const auto& sample : request.samples) {
              if (sample.name != kProbe.name) stored.emplace_back(request.at_ns, sample);
            }
          }
          requests.push_back(std::move(request));
          return answer;
        },
        stop.token());
  }

  /// As the endpoint's thread does it; what is set for this time happens meanwhile.
  void run_for(std::int64_t ns) {
    const auto end_ns = clock.monotonic_ns() + ns;
    std::mutex mutex;
    std::condition_variable changed;
    for (int steps_at_once = 0; clock.monotonic_ns() < end_ns;) {
      const auto next = sender->step();
      const auto now_ns = clock.monotonic_ns();
      if (next.due_ns <= now_ns && !next.is_idle) {
        REQUIRE(++steps_at_once < 10'000);
        continue;
      }
      steps_at_once = 0;
      std::unique_lock lock(mutex);
      clock.wait(lock, changed, std::min(next.due_ns, end_ns));
    }
  }

  void append_now(const char* stream, std::shared_ptr<const SeriesSet> set = kSet) {
    std::vector<double> values(set->size(), 1);
    auto made = scrape(clock.wall_ns() / kNsPerMs, std::move(set), std::move(values));
    if (*stream != '\0') made.stream = std::make_shared<const Stream>(Stream{stream});
    queue->append(std::move(made));
    ++appended;
  }
  /// A source's scrapes from now on.
  void produce(const char* stream, std::int64_t first_in_ns, std::int64_t every_ns, int count,
               std::shared_ptr<const SeriesSet> set = kSet) {
    const auto first_ns = clock.monotonic_ns() + first_in_ns;
    for (int i = 0; i < count; ++i) {
      clock.at(first_ns + i * every_ns, [this, stream, set] { append_now(stream, set); });
    }
  }
  /// The spiller's rounds.
  void spill_every(std::int64_t every_ns, int count) {
    for (int i = 1; i <= count; ++i) {
      clock.at(clock.monotonic_ns() + i * every_ns, [this] { spiller->round(); });
    }
  }
  /// A source's scrapes of the past, on disk, as an earlier run has left them.
  void leave_backlog(int scrapes) {
    const auto now_ms = clock.wall_ns() / kNsPerMs;
    for (int i = 0; i < scrapes; ++i) {
      auto made = scrape(now_ms - (scrapes - i) * 15'000, kSet, {1, 2});
      made.stream = std::make_shared<const Stream>(Stream{"host"});
      queue->append(std::move(made));
    }
    appended += scrapes;
    round();
    reopen();
  }

  std::set<Sample> stored_once() const {
    std::set<Sample> once;
    for (const auto& [at_ns, sample] : stored) once.insert(sample);
    CHECK(once.size() == stored.size());
    return once;
  }
  std::int64_t wall_ms_of(std::int64_t at_ns) const {
    return (at_ns + FakeClock::kWallStartNs - FakeClock::kStartNs) / kNsPerMs;
  }
  /// Samples that came when they were made.
  std::size_t stored_at_once() const {
    return static_cast<std::size_t>(std::count_if(
        stored.begin(), stored.end(),
        [&](const auto& one) { return one.second.timestamp_ms == wall_ms_of(one.first); }));
  }

  int appended = 0;  // scrapes
};

std::shared_ptr<const SeriesSet> set_named(const std::string& name) {
  return series_set({name + "_a", name + "_b"});
}

Request relayed(const std::string& name, std::int64_t timestamp_ms) {
  prometheus::WriteRequest message;
  auto& series = *message.add_timeseries();
  auto& label = *series.add_labels();
  label.set_name("__name__");
  label.set_value(name);
  auto& sample = *series.add_samples();
  sample.set_value(1);
  sample.set_timestamp(timestamp_ms);
  Request request{
      std::make_shared<const Stream>(Stream{"relay/alpha"}), 1, timestamp_ms, timestamp_ms, {}};
  REQUIRE(compress_frame(message.SerializeAsString(), request.message));
  return request;
}

}  // namespace

TEST_CASE_METHOD(SenderFixture, "sender: a good day is one request for each scrape, at once") {
  start();
  produce("host", 3 * kSecond, 15 * kSecond, 20);
  run_for(5 * kMinute);
  CHECK(requests.size() == 20);
  CHECK(stored_once().size() == 40);
  CHECK(stored_at_once() == 40);
  CHECK(waiting() == 0);
  CHECK(stats.state == EndpointState::delivering);
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
  const auto last_ns = (6'000 - static_cast<std::int64_t>(FlowControl::kSamplesMax)) / 100;
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
                 "a stream without a host beside it waits send_every and no longer") {
  start();
  produce("mysqld", kSecond, 15 * kSecond, 4);
  run_for(2 * kMinute);
  CHECK(waiting() == 0);
  for (const auto& [at_ns, sample] : stored) {
    CHECK(wall_ms_of(at_ns) - sample.timestamp_ms <= 15'000);
  }
}

TEST_CASE_METHOD(SenderFixture, "oldest_first: whatever happens, a series goes in its order") {
  config.order = Order::oldest_first;
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
  config.protocol = Protocol::automatic;
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

TEST_CASE("the back-off doubles from a second to a minute, with full jitter") {
  CHECK(backoff(1, 0.0) == 0s);
  CHECK(backoff(1, 0.5) == 500ms);
  CHECK(backoff(2, 0.5) == 1s);
  CHECK(backoff(6, 0.5) == 16s);
  CHECK(backoff(7, 0.5) == 30s);
  CHECK(backoff(1'000'000, 0.5) == 30s);
}

TEST_CASE("what only an operator can fix is tried about once a minute") {
  CHECK(hold_time(0.0) == 45s);
  CHECK(hold_time(0.5) == 60s);
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
  CHECK(stats.state == EndpointState::retrying);
  CHECK(stats.retries == requests.size());
  CHECK(waiting() == 240);
  CHECK(stats.last_error() == "HTTP 503");
}

TEST_CASE_METHOD(SenderFixture, "sender: a refused login is held, and nothing is lost") {
  judge = [](const Received&) { return status(401); };
  start();
  produce("host", kSecond, 15 * kSecond, 40);
  run_for(10 * kMinute);
  CHECK(stats.state == EndpointState::misconfigured);
  REQUIRE(requests.size() >= 8);
  for (std::size_t i = 1; i < requests.size(); ++i) {
    CHECK(requests[i].at_ns - requests[i - 1].at_ns >= 45 * kSecond);
    CHECK(requests[i].at_ns - requests[i - 1].at_ns <= 75 * kSecond);
  }
  judge = [](const Received&) { return status(204); };
  run_for(5 * kMinute);
  CHECK(stored_once().size() == 80);
  CHECK(stats.state == EndpointState::delivering);
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
  CHECK(requests.size() < 24 * 60 * 3);
  CHECK(waiting() == 2 * 24 * 60 * 4);
  const auto tries = requests.size();
  is_up = true;
  run_for(kHour);
  CHECK(waiting() == 0);
  CHECK(stored_once().size() == static_cast<std::size_t>(2 * appended));
  for (auto reason = 0u; reason < kDropReasons; ++reason) {
    CHECK(dropped(0, static_cast<DropReason>(reason)) == 0);
  }
  REQUIRE(requests.size() > tries);
  const auto first_ns = requests[tries].at_ns;
  CHECK(first_ns - began_ns <= 24 * kHour + kMinute);
  for (const auto& [at_ns, sample] : stored) {
    if (sample.timestamp_ms <= wall_ms_of(first_ns)) continue;
    if (sample.timestamp_ms != wall_ms_of(at_ns)) FAIL_CHECK("late at " << at_ns);
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
    CHECK(stats.state == EndpointState::delivering);
    CHECK(stats.retries == 0);
    CHECK(waiting() == 4);
  }
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
    config.protocol = Protocol::prometheus_2_0;
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
  CHECK((requests[1].encoding == "snappy 2") == (config.protocol == Protocol::prometheus_2_0));
  // Beside them, in a batch with them, too.
  clock.advance(kSecond);
  queue->append(relayed("r3", now_ms));
  append_now("host");
  run_for(kSecond);
  CHECK(stored_once().size() == 3 + 2 + 3);
  CHECK(waiting() == 0);
  CHECK(requests.size() == (config.protocol == Protocol::prometheus_2_0 ? 4 : 3));
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
