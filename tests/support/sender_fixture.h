// A sender and a centre in memory, on a clock of the test's own: no server, no thread, no real time. A
// day of outage takes a moment.
#pragma once

#include <snappy.h>
#include <zstd.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/delivery/order_test.h"
#include "agent/delivery/sender.h"
#include "agent/queue/compression.h"
#include "request_v2.pb.h"
#include "tests/support/queue_fixture.h"
#include "write_request.pb.h"

namespace msp::test {

using namespace std::chrono_literals;

inline constexpr std::int64_t kSecond = kNsPerSecond;
inline constexpr std::int64_t kMinute = 60 * kSecond;
inline constexpr std::int64_t kHour = 60 * kMinute;

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

  bool is_probe() const { return samples.size() == 1 && samples[0].name == delivery::kProbe.name; }
};

inline std::string message_of(std::string_view body, bool is_zstd) {
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

inline Received read_request(std::int64_t at_ns, std::string_view body,
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

inline http::HttpAnswer status(int code) {
  http::HttpAnswer answer;
  answer.status = code;
  if (code / 100 == 2)
    answer.headers.emplace_back("X-Prometheus-Remote-Write-Samples-Written", "9999");
  if (code == 0) answer.error = "connection refused by h:80";
  return answer;
}

struct SenderFixture : QueueFixture {
  // The centre.
  std::function<http::HttpAnswer(const Received&)> judge = [](const Received&) {
    return status(204);
  };
  std::int64_t answer_takes_ns = 0;
  std::vector<Received> requests;
  std::vector<std::pair<std::int64_t, Sample>> stored;  // when it came

  config::EndpointConfig config;
  delivery::EndpointStats stats{"http://h/w"};
  StopSource stop{clock};
  std::unique_ptr<delivery::Sender> sender;

  SenderFixture() {
    config.url = "http://h/w";
    config.protocol = config::Protocol::victoriametrics;
  }

  void start(std::uint64_t seed = 1) {
    sender = std::make_unique<delivery::Sender>(
        delivery::Sender::Setup{config, 15s, *queue, 0, stats, clock, seed},
        [this](std::string_view body, const std::vector<std::string>& headers) {
          auto request = read_request(clock.monotonic_ns(), body, headers);
          clock.advance(answer_takes_ns);
          auto answer = judge(request);
          if (answer.status / 100 == 2) {
            for (const auto& sample : request.samples) {
              if (sample.name != delivery::kProbe.name) stored.emplace_back(request.at_ns, sample);
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

  void append_now(const char* stream, std::shared_ptr<const metrics::SeriesSet> set = kSet) {
    std::vector<double> values(set->size(), 1);
    auto made = scrape(clock.wall_ns() / kNsPerMs, std::move(set), std::move(values));
    if (*stream != '\0')
      made.stream = std::make_shared<const metrics::Stream>(metrics::Stream{stream});
    queue->append(std::move(made));
    ++appended;
  }
  /// A source's scrapes from now on.
  void produce(const char* stream, std::int64_t first_in_ns, std::int64_t every_ns, int count,
               std::shared_ptr<const metrics::SeriesSet> set = kSet) {
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
      made.stream = std::make_shared<const metrics::Stream>(metrics::Stream{"host"});
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

inline std::shared_ptr<const metrics::SeriesSet> set_named(const std::string& name) {
  return series_set({name + "_a", name + "_b"});
}

inline queue::Request relayed(const std::string& name, std::int64_t timestamp_ms) {
  prometheus::WriteRequest message;
  auto& series = *message.add_timeseries();
  auto& label = *series.add_labels();
  label.set_name("__name__");
  label.set_value(name);
  auto& sample = *series.add_samples();
  sample.set_value(1);
  sample.set_timestamp(timestamp_ms);
  queue::Request request{std::make_shared<const metrics::Stream>(metrics::Stream{"relay/alpha"}),
                         1,
                         timestamp_ms,
                         timestamp_ms,
                         {}};
  REQUIRE(queue::compress_frame(message.SerializeAsString(), request.message));
  return request;
}

}  // namespace msp::test
