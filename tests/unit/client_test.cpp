#include "agent/delivery/client.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "agent/base/text.h"
#include "agent/delivery/order_test.h"
#include "agent/queue/compression.h"
#include "tests/support/fake_clock.h"
#include "tests/support/scrapes.h"
#include "tests/support/sender_fixture.h"
#include "write_request.pb.h"

namespace msp {
namespace {

using Outcome = delivery::RemoteWriteClient::Outcome;
using Sample = std::pair<std::string, std::int64_t>;
using Samples = std::vector<Sample>;
using test::message_of;

/// A receiver in memory. It stores what it accepts with 204.
struct Server {
  bool knows_zstd = true;
  bool knows_2_0 = false;
  std::size_t bytes_max = 1 << 20;
  int always = 0;  // answers this, whatever comes
  std::function<int(const Samples&)> judge = [](const Samples&) { return 204; };

  Samples stored = {};
  std::set<std::int64_t> probes = {};
  std::vector<int> answers = {};

  http::HttpAnswer take(std::string_view body, const std::vector<std::string>& headers) {
    http::HttpAnswer answer;
    answer.status = status_for(body, headers);
    answer.words = answer.status == 204 ? "" : "these are my words";
    answers.push_back(answer.status);
    return answer;
  }

 private:
  int status_for(std::string_view body, const std::vector<std::string>& headers) {
    const auto says = [&](std::string_view part) {
      return std::any_of(headers.begin(), headers.end(), [&](const std::string& header) {
        return header.find(part) != std::string::npos;
      });
    };
    if (always != 0) return always;
    if (body.size() > bytes_max) return 413;
    const bool is_zstd = says("Content-Encoding: zstd");
    if (is_zstd && !knows_zstd) return 400;
    if (says("write.v2.Request")) return 204;  // an empty message, as it sees it
    prometheus::WriteRequest request;
    REQUIRE(request.ParseFromString(message_of(body, is_zstd)));
    Samples samples;
    for (const auto& series : request.timeseries()) {
      const auto& name = series.labels(0).value();
      for (const auto& sample : series.samples()) samples.emplace_back(name, sample.timestamp());
    }
    const int status = judge(samples);
    if (status != 204) return status;
    for (const auto& sample : samples) {
      if (sample.first == delivery::kProbe.name) {
        probes.insert(sample.second);
      } else {
        stored.push_back(sample);
      }
    }
    return 204;
  }
};

struct CourierFixture {
  Server server;
  delivery::EndpointStats stats{"http://h/w"};
  delivery::Splitter shipment;

  delivery::RemoteWriteClient courier(
      config::Protocol protocol = config::Protocol::victoriametrics) {
    return delivery::RemoteWriteClient(
        protocol,
        [this](std::string_view body, const std::vector<std::string>& headers) {
          return server.take(body, headers);
        },
        stats);
  }

  void fill(std::size_t names, std::int64_t from, std::int64_t to) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < names; ++i) all.push_back(cat("m", i));
    const auto set = test::series_set(all);
    shipment.release();
    for (auto t = from; t <= to; ++t) {
      shipment.batch().add(static_cast<std::uint64_t>(t),
                           std::make_shared<const metrics::Scrape>(
                               test::scrape(t, set, std::vector<double>(names, 1))));
    }
    shipment.start();
  }

  /// Until it is done or the courier gives up.
  Outcome send_all(delivery::RemoteWriteClient& courier) {
    auto report = courier.send_next(shipment);
    while (report.outcome == Outcome::progress && !shipment.done()) {
      report = courier.send_next(shipment);
    }
    return report.outcome;
  }

  std::set<Sample> stored_once() {
    const std::set<Sample> once(server.stored.begin(), server.stored.end());
    CHECK(once.size() == server.stored.size());
    return once;
  }
};

}  // namespace

TEST_CASE_METHOD(CourierFixture, "a good day is one request, counted") {
  auto courier = this->courier();
  fill(100, 1, 1);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(server.answers == std::vector{204});
  CHECK(stored_once().size() == 100);
  CHECK(stats.samples_sent == 100);
  CHECK(stats.requests == 1);
  CHECK(std::string(stats.protocol) == "victoriametrics");
}

TEST_CASE_METHOD(CourierFixture, "auto falls back to snappy with the same batch, and stays there") {
  server.knows_zstd = false;
  auto courier = this->courier(config::Protocol::automatic);
  fill(100, 1, 1);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(server.answers == std::vector{400, 204});
  fill(100, 2, 2);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(server.answers == std::vector{400, 204, 204});
  CHECK(stored_once().size() == 200);
  CHECK(std::string(stats.protocol) == "prometheus-1.0");
}

TEST_CASE_METHOD(CourierFixture, "whether older samples are taken is known of zstd, else asked") {
  const auto asked = [&](bool zstd, int to_older) {
    server = {.knows_zstd = zstd};
    std::int64_t newest = 0;
    server.judge = [=](const Samples& samples) mutable {
      if (samples[0].first != delivery::kProbe.name) return 204;
      const bool is_older = samples[0].second < std::exchange(newest, samples[0].second);
      return is_older ? to_older : 204;
    };
    auto sender = courier(config::Protocol::automatic);
    CHECK_FALSE(sender.takes_any_order().has_value());
    fill(2, 1, 1);
    REQUIRE(send_all(sender) == Outcome::progress);
    CHECK(sender.takes_any_order().has_value() == zstd);
    if (!zstd) sender.ask_for_order(shipment.batch());
    return sender.takes_any_order();
  };
  CHECK(asked(true, 400) == true);
  CHECK(server.probes.empty());
  CHECK(asked(false, 204) == true);
  CHECK(server.probes.size() == 2);
  CHECK(asked(false, 400) == false);
  CHECK(asked(false, 409) == false);
  CHECK(asked(false, 503) == std::nullopt);  // it says nothing about order
  CHECK(asked(false, 401) == std::nullopt);
}

TEST_CASE_METHOD(CourierFixture,
                 "a probe is not older than the one before, whatever the clock does") {
  test::FakeClock clock;
  std::int64_t newest_ms = 0;
  server.judge = [&](const Samples& samples) {
    if (samples[0].first != delivery::kProbe.name) return 400;
    return samples[0].second < std::exchange(newest_ms, samples[0].second) ? 409 : 204;
  };
  delivery::RemoteWriteClient courier(
      config::Protocol::prometheus_1_0,
      [this](std::string_view body, const std::vector<std::string>& headers) {
        return server.take(body, headers);
      },
      stats, clock);
  for (int i = 0; i < 3; ++i) {
    fill(1, 1, 1);
    CHECK(send_all(courier) == Outcome::progress);
    CHECK(shipment.done());
    CHECK(shipment.refused_samples() == 1);
    clock.step_wall(-3600 * kNsPerSecond);
  }
  CHECK(server.probes.size() >= 3);
}

TEST_CASE_METHOD(CourierFixture, "a bad sample does not change the protocol") {
  server.judge = [](const Samples& samples) {
    return std::count(samples.begin(), samples.end(), Sample{"m5", 1}) > 0 ? 400 : 204;
  };
  auto courier = this->courier(config::Protocol::automatic);
  fill(100, 1, 1);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(shipment.refused_samples() == 1);
  CHECK(stored_once().size() == 99);
  CHECK(std::string(stats.protocol) == "victoriametrics");
  CHECK(courier.refusal() == "HTTP 400: these are my words");
}

TEST_CASE_METHOD(CourierFixture, "a bad sample and a server without zstd: one is dropped") {
  server.knows_zstd = false;
  server.judge = [](const Samples& samples) {
    return std::count(samples.begin(), samples.end(), Sample{"m5", 1}) > 0 ? 400 : 204;
  };
  auto courier = this->courier(config::Protocol::automatic);
  fill(100, 1, 1);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(shipment.refused_samples() == 1);
  CHECK(stored_once().size() == 99);
  CHECK(std::string(stats.protocol) == "prometheus-1.0");
}

TEST_CASE_METHOD(CourierFixture, "2.0 that nobody confirms is sent again as 1.0") {
  auto courier = this->courier(config::Protocol::prometheus_2_0);
  fill(10, 1, 1);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(server.answers == std::vector{204, 204});
  CHECK(stored_once().size() == 10);
  CHECK(stats.samples_sent == 10);
  CHECK(std::string(stats.protocol) == "prometheus-1.0");
}

TEST_CASE_METHOD(CourierFixture,
                 "a server that refuses everything costs four requests and nothing") {
  const int status = GENERATE(400, 402, 409, 415, 422);
  server.always = status;
  auto courier = this->courier(config::Protocol::automatic);
  fill(200, 1, 30);
  CHECK(send_all(courier) == Outcome::hold);
  CHECK(server.answers.size() <= 4);
  CHECK_FALSE(shipment.done());
  CHECK_FALSE(shipment.in_progress());
  server.always = 0;
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(shipment.done());
  CHECK(stored_once().size() == 6'000);
  CHECK(shipment.refused_samples() == 0);
}

TEST_CASE_METHOD(CourierFixture, "what waits is not touched by an answer that is not about it") {
  const auto [status, outcome] = GENERATE(table<int, Outcome>({{503, Outcome::try_again},
                                                               {429, Outcome::try_again},
                                                               {401, Outcome::hold},
                                                               {404, Outcome::hold},
                                                               {301, Outcome::hold}}));
  auto courier = this->courier(config::Protocol::automatic);
  fill(10, 1, 3);
  server.always = status;
  const auto report = courier.send_next(shipment);
  CHECK(report.outcome == outcome);
  CHECK(report.answer.status == status);
  CHECK(report.advice.empty() == (outcome == Outcome::try_again));
  CHECK(server.answers.size() == 1);
  server.always = 0;
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(stored_once().size() == 30);
}

TEST_CASE_METHOD(CourierFixture, "413: smaller requests, and the size is remembered") {
  server.bytes_max = 1'000;
  auto courier = this->courier(config::Protocol::prometheus_1_0);
  fill(300, 1, 3);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(shipment.refused_samples() == 0);
  CHECK(stored_once().size() == 900);
  const auto too_large = [&] {
    return std::count(server.answers.begin(), server.answers.end(), 413);
  };
  const auto learned = too_large();
  CHECK(learned > 0);
  fill(300, 4, 6);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(too_large() == learned);
  CHECK(stored_once().size() == 1'800);
}

TEST_CASE_METHOD(CourierFixture, "413 for a row of many samples divides the row") {
  auto courier = this->courier(config::Protocol::prometheus_1_0);
  server.bytes_max = 400;
  fill(2, 1, 100);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(stored_once().size() == 200);
  CHECK(shipment.refused_samples() == 0);
}

TEST_CASE_METHOD(CourierFixture, "413 for everything is held, and the small size forgotten") {
  auto courier = this->courier();
  server.bytes_max = 1;
  fill(20, 1, 2);
  CHECK(send_all(courier) == Outcome::hold);
  CHECK(shipment.refused_samples() == 0);
  server.bytes_max = 1 << 20;
  server.answers.clear();
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(server.answers == std::vector{204});
  CHECK(stored_once().size() == 40);
}

TEST_CASE_METHOD(CourierFixture, "a relayed request that cannot be decompressed is counted once") {
  std::string damaged;
  REQUIRE(queue::compress_frame(std::string(100, 'x'), damaged));
  damaged.pop_back();
  fill(5, 1, 1);
  shipment.batch().add(
      {2, 2, nullptr,
       std::make_shared<const queue::Request>(queue::Request{nullptr, 7, 1, 1, damaged})});
  shipment.start();
  auto courier = this->courier();
  server.always = 503;
  CHECK(send_all(courier) == Outcome::try_again);
  CHECK(stats.samples_rejected == 0);
  server.always = 0;
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(shipment.done());
  CHECK(stats.samples_rejected == 7);
  CHECK(stats.samples_sent == 5);
  CHECK(stored_once().size() == 5);
}

TEST_CASE_METHOD(CourierFixture, "409 drops what was in the request, where a probe is accepted") {
  server.judge = [](const Samples& samples) {
    return samples.front().first == delivery::kProbe.name ? 204 : 409;
  };
  auto courier = this->courier();
  fill(10, 1, 2);
  CHECK(send_all(courier) == Outcome::progress);
  CHECK(shipment.done());
  CHECK(shipment.refused_samples() == 20);
  CHECK(server.answers == std::vector{409, 204});
}

TEST_CASE_METHOD(CourierFixture, "a poisoned scrape is dropped, its neighbours are delivered") {
  server.judge = [](const Samples& samples) {
    return std::any_of(samples.begin(), samples.end(),
                       [](const Sample& s) { return s.second == 3; })
               ? 400
               : 204;
  };
  auto courier = this->courier();
  std::int64_t next = 1;
  std::size_t dropped = 0;
  while (next <= 20) {  // as the sender does it: fewer scrapes where the courier asks for them
    const auto scrapes =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(courier.samples_max() / 50));
    const auto last = std::min<std::int64_t>(20, next + scrapes - 1);
    fill(50, next, last);
    if (send_all(courier) == Outcome::fewer_scrapes) continue;
    REQUIRE(shipment.done());
    dropped += shipment.refused_samples();
    next = last + 1;
  }
  CHECK(dropped == 50);
  CHECK(stored_once().size() == 19 * 50);
}

TEST_CASE_METHOD(CourierFixture,
                 "a day of scrapes that are all refused costs a few requests each") {
  server.judge = [](const Samples& samples) { return samples[0].second <= 100 ? 400 : 204; };
  auto courier = this->courier();
  for (int t = 1; t <= 101; ++t) {
    fill(100, t, t);
    CHECK(send_all(courier) == Outcome::progress);
    REQUIRE(shipment.done());
    CHECK(shipment.refused_samples() == (t <= 100 ? 100 : 0));
  }
  CHECK(server.answers.size() < 2 * 199 + 100 * 5);
  CHECK(stored_once().size() == 100);
}

TEST_CASE_METHOD(CourierFixture, "whatever a server refuses, exactly that is dropped") {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    INFO(seed);
    std::mt19937 random(seed);
    server = Server{};
    std::set<Sample> bad;
    for (int i = 0, n = static_cast<int>(random() % 12); i < n; ++i) {
      bad.emplace(cat("m", random() % 60), 1 + random() % 5);
    }
    server.knows_zstd = random() % 2 == 0;
    server.bytes_max = 300 + random() % 3'000;
    server.judge = [&](const Samples& samples) {
      if (random() % 5 == 0) return 503;
      return std::any_of(samples.begin(), samples.end(),
                         [&](const Sample& s) { return bad.contains(s); })
                 ? 400
                 : 204;
    };
    auto courier = this->courier(config::Protocol::automatic);
    fill(60, 1, 5);
    for (int i = 0; i < 10'000 && !shipment.done(); ++i) send_all(courier);
    REQUIRE(shipment.done());
    CHECK(stored_once().size() == 300 - bad.size());
    CHECK(shipment.refused_samples() == bad.size());
  }
}

}  // namespace msp
