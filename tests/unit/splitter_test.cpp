#include "agent/delivery/splitter.h"

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "agent/base/text.h"
#include "agent/queue/compression.h"
#include "tests/support/scrapes.h"
#include "write_request.pb.h"

namespace msp {
namespace {

using Sample = std::pair<std::string, std::int64_t>;
using Samples = std::set<Sample>;

/// `names` series in `times` scrapes.
void fill(queue::Batch& batch, std::size_t names, std::int64_t times) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < names; ++i) all.push_back(cat("m", i));
  const auto set = test::series_set(all);
  for (std::int64_t t = 1; t <= times; ++t) {
    batch.add(static_cast<std::uint64_t>(t), std::make_shared<const metrics::Scrape>(test::scrape(
                                                 t, set, std::vector<double>(names, 1))));
  }
}

/// What a relay received: `names` series, m`first` and those that follow, at one time.
void add_relayed(queue::Batch& batch, std::uint64_t sequence, std::size_t first, std::size_t names,
                 std::int64_t time, const std::string& padding = {}) {
  prometheus::WriteRequest message;
  for (std::size_t i = first; i < first + names; ++i) {
    auto& series = *message.add_timeseries();
    auto& label = *series.add_labels();
    label.set_name("__name__");
    label.set_value(cat("m", i));
    if (!padding.empty()) {
      auto& further = *series.add_labels();
      further.set_name("padding");
      further.set_value(padding);
    }
    series.add_samples()->set_timestamp(time);
  }
  queue::Request request{
      std::make_shared<const metrics::Stream>(metrics::Stream{"relay"}), names, time, time, {}};
  REQUIRE(queue::compress_frame(message.SerializeAsString(), request.message));
  batch.add(
      {sequence, sequence, nullptr, std::make_shared<const queue::Request>(std::move(request))});
}

std::vector<Sample> samples_of(const delivery::Splitter::Front& front) {
  std::vector<Sample> samples;
  for (auto row = front.rows_begin; row < front.rows_end; ++row) {
    const auto& series = front.batch.rows()[row];
    if (series.request != nullptr) {
      prometheus::WriteRequest message;
      const auto content = queue::content_of(series.request->message, queue::kRequestContentMax);
      REQUIRE(content);
      REQUIRE(message.ParseFromString(*content));
      for (const auto& one : message.timeseries()) {
        for (const auto& sample : one.samples()) {
          samples.emplace_back(one.labels(0).value(), sample.timestamp());
        }
      }
      continue;
    }
    for (const auto& point : front.batch.points(series)) {
      samples.emplace_back(series.series->labels.get(metrics::kMetricName), point.timestamp_ms);
    }
  }
  return samples;
}

/// A server that refuses requests with a sample that `is_bad`.
struct Server {
  std::function<bool(const Sample&)> is_bad = [](const Sample&) { return false; };
  bool refuses_everything = false;
  std::size_t rows_max = SIZE_MAX;  // of a request, as the encoder's limit does
  std::size_t samples_max = SIZE_MAX;
  std::vector<Sample> taken = {};
  int requests = 0;
  int probes = 0;

  void take(delivery::Splitter& shipment) {
    if (shipment.wants_probe()) {
      ++probes;
      refuses_everything ? shipment.probe_refused() : shipment.probe_accepted();
      return;
    }
    ++requests;
    auto front = shipment.front();
    front.rows_end = front.rows_begin + std::min(front.rows_end - front.rows_begin, rows_max);
    const auto samples = samples_of(front);
    const bool bad = refuses_everything || std::any_of(samples.begin(), samples.end(), is_bad);
    if (samples.size() > samples_max) {
      shipment.row_too_large();
    } else if (bad) {
      shipment.refused(front.rows_end);
    } else {
      taken.insert(taken.end(), samples.begin(), samples.end());
      shipment.accepted(front.rows_end);
    }
  }
};

/// Ten of a relay's requests with the same `names` series, for a server that takes one of them at once.
void start_with_ten_requests(delivery::Splitter& shipment, std::size_t names, Server& server) {
  for (std::size_t i = 1; i <= 10; ++i) {
    add_relayed(shipment.batch(), i, 0, names, static_cast<std::int64_t>(i));
  }
  shipment.start();
  server.rows_max = 1;
}

}  // namespace

TEST_CASE("a shipment that is accepted takes one request") {
  delivery::Splitter shipment;
  CHECK(shipment.done());
  fill(shipment.batch(), 5, 3);
  shipment.start();
  Server server;
  server.take(shipment);
  CHECK(shipment.done());
  CHECK(server.taken.size() == 15);
  CHECK(shipment.refused_samples() == 0);
}

TEST_CASE("a series that is refused at every tick costs a few requests, until it is taken") {
  delivery::Splitter shipment;
  Server server;
  const auto requests_of_a_tick = [&] {
    shipment.release();
    fill(shipment.batch(), 200, 1);
    shipment.start();
    const auto before = server.requests + server.probes;
    while (!shipment.done()) server.take(shipment);
    return server.requests + server.probes - before;
  };
  server.is_bad = [](const Sample& sample) { return sample.first == "m77"; };
  CHECK(requests_of_a_tick() > 12);
  for (int tick = 0; tick < 3; ++tick) {
    server.taken.clear();
    CHECK(requests_of_a_tick() <= 5);
    CHECK(server.taken.size() == 199);
    CHECK(shipment.refused_samples() == 1);
  }
  server.is_bad = [](const Sample&) { return false; };
  CHECK(requests_of_a_tick() <= 3);
  CHECK(requests_of_a_tick() == 1);
}

TEST_CASE("of what a relay received only the bad series are lost, and the others go once") {
  delivery::Splitter shipment;
  Server server;
  std::set<std::string> bad;
  std::int64_t time = 0;
  // Two scrapes of the relay's own, and what three senders sent at two times.
  const auto send_all = [&] {
    shipment.release();
    server.taken.clear();
    fill(shipment.batch(), 5, 2);
    std::uint64_t sequence = 3;
    for (int again = 0; again < 2; ++again, ++time) {
      for (std::size_t sender = 0; sender < 3; ++sender) {
        add_relayed(shipment.batch(), sequence++, 1'000 * (sender + 1), 100, 10 + time);
      }
    }
    shipment.start();
    const auto before = server.requests + server.probes;
    while (!shipment.done()) server.take(shipment);
    return server.requests + server.probes - before;
  };
  const auto check = [&](std::size_t refused) {
    CHECK(shipment.refused_samples() == refused);
    CHECK(server.taken.size() == 610 - refused);
    CHECK(Samples(server.taken.begin(), server.taken.end()).size() == server.taken.size());
    // In the order of their times, whatever was tried before.
    std::map<std::string, std::int64_t> newest;
    for (const auto& [name, at] : server.taken) {
      CHECK(newest[name] < at);
      newest[name] = at;
    }
  };
  server.is_bad = [&](const Sample& sample) { return bad.contains(sample.first); };
  SECTION("one, which is asked for alone from then on, until it is taken") {
    bad = {"m2077"};
    CHECK(send_all() > 12);
    check(2);
    CHECK(shipment.refused_series() == "m2077{}");
    for (int i = 0; i < 3; ++i) {
      CHECK(send_all() <= 10);
      check(2);
    }
    bad.clear();
    CHECK(send_all() <= 4);
    check(0);
    CHECK(send_all() == 1);
  }
  SECTION("several, of the relay's own as well") {
    bad = {"m3", "m1000", "m1099", "m3050"};
    send_all();
    check(8);
  }
  SECTION("many of one sender") {
    for (std::size_t i = 0; i < 30; ++i) bad.insert(cat("m", 2'000 + i));
    CHECK(send_all() < 600);
    check(60);
  }
  SECTION("all of one sender: at a bounded cost others may go with them, counted") {
    for (std::size_t i = 0; i < 100; ++i) bad.insert(cat("m", 2'000 + i));
    CHECK(send_all() < 1'000);
    CHECK(shipment.refused_samples() >= 200);
    CHECK(shipment.refused_samples() < 400);
    check(shipment.refused_samples());
  }
  SECTION("one time of one series") {
    server.is_bad = [&](const Sample& sample) {
      return sample.first == "m2077" && sample.second % 2 == 0;
    };
    send_all();
    check(1);
  }
  SECTION("all that are sent, at a bounded cost") {
    server.is_bad = [](const Sample& sample) { return sample.second >= 10; };
    CHECK(send_all() < 1'500);
    check(600);
  }
}

TEST_CASE("of what a relay received no more is taken apart at once than one request may have") {
  delivery::Splitter shipment;
  Server server{.is_bad = [](const Sample& sample) { return sample.first == "m1"; }};
  // What is refused at every tick goes alone, and the rest of all requests as one.
  const auto rows_of_first = [&](std::size_t requests) {
    shipment.release();
    for (std::size_t i = 0; i < requests; ++i) {
      const auto time = static_cast<std::int64_t>(i + 1);
      add_relayed(shipment.batch(), i + 1, 0, 64, time, std::string(16 << 10, 'x'));
    }
    shipment.start();
    const auto front = shipment.front();
    const auto rows = front.rows_end - front.rows_begin;
    while (!shipment.done()) server.take(shipment);
    return rows;
  };
  CHECK(rows_of_first(1) == 1);
  CHECK(shipment.refused_samples() == 1);
  CHECK(rows_of_first(4) == 1);  // 4 MiB of four requests, without m1
  CHECK(rows_of_first(9) == 9);  // 9 MiB: as they are
  CHECK(shipment.refused_samples() == 9);
}

TEST_CASE("a conflict is believed as soon as the server takes something, before or after it") {
  delivery::Splitter shipment;
  fill(shipment.batch(), 4, 1);
  shipment.start();
  SECTION("after it") {
    shipment.conflicted(1);
    CHECK(shipment.wants_probe());
    shipment.accepted(4);
    CHECK(shipment.done());
    CHECK(shipment.refused_samples() == 1);
  }
  SECTION("before it") {
    shipment.accepted(3);
    shipment.conflicted(4);
    CHECK(shipment.done());
    CHECK(shipment.refused_samples() == 1);
  }
  SECTION("or the probe") {
    shipment.conflicted(4);
    CHECK_FALSE(shipment.done());
    CHECK(shipment.wants_probe());
    shipment.probe_accepted();
    CHECK(shipment.done());
    CHECK(shipment.refused_samples() == 4);
  }
  SECTION("where that is refused all of it is sent again") {
    shipment.conflicted(2);
    shipment.probe_refused();
    CHECK_FALSE(shipment.wants_probe());
    CHECK(shipment.is_whole());
    CHECK(samples_of(shipment.front()).size() == 4);
    shipment.accepted(4);
    CHECK(shipment.done());
    CHECK(shipment.refused_samples() == 0);
  }
}

TEST_CASE("a shipment may go in several requests") {
  delivery::Splitter shipment;
  fill(shipment.batch(), 5, 1);
  shipment.start();
  shipment.accepted(2);
  CHECK(shipment.in_progress());
  CHECK(shipment.front().rows_begin == 2);
  shipment.accepted(5);
  CHECK(shipment.done());
}

TEST_CASE("only the bad samples of a shipment are refused, everything else arrives once") {
  const int times = GENERATE(1, 6);
  const std::set<std::string> bad_names =
      GENERATE(std::set<std::string>{"m0"}, std::set<std::string>{"m99"},
               std::set<std::string>{"m3", "m4", "m50"});
  delivery::Splitter shipment;
  fill(shipment.batch(), 100, times);
  shipment.start();
  Server server{.is_bad = [&](const Sample& s) { return bad_names.contains(s.first); }};
  while (!shipment.done()) server.take(shipment);
  const Samples taken(server.taken.begin(), server.taken.end());
  CHECK(taken.size() == server.taken.size());
  CHECK(taken.size() == (100 - bad_names.size()) * static_cast<std::size_t>(times));
  CHECK(shipment.refused_samples() == bad_names.size() * static_cast<std::size_t>(times));
  CHECK(shipment.refused_series().ends_with("{customer_id=\"alpha\"}"));
  CHECK(shipment.accepted_any());
}

TEST_CASE("of a row with one bad sample the others arrive, in time order") {
  delivery::Splitter shipment;
  fill(shipment.batch(), 3, 10);
  shipment.start();
  Server server{.is_bad = [](const Sample& s) { return s == Sample{"m1", 4}; }};
  while (!shipment.done()) server.take(shipment);
  CHECK(shipment.refused_samples() == 1);
  std::vector<std::int64_t> times;
  for (const auto& [name, time] : server.taken) {
    if (name == "m1") times.push_back(time);
  }
  CHECK(times == std::vector<std::int64_t>{1, 2, 3, 5, 6, 7, 8, 9, 10});
}

TEST_CASE("where the probe is refused too nothing is given up, and all is sent again") {
  delivery::Splitter shipment;
  fill(shipment.batch(), 50, 2);
  shipment.start();
  Server server{.refuses_everything = true};
  server.take(shipment);
  CHECK(shipment.wants_probe());
  server.take(shipment);
  CHECK(server.requests == 1);
  CHECK_FALSE(shipment.done());
  CHECK_FALSE(shipment.in_progress());
  server.refuses_everything = false;
  while (!shipment.done()) server.take(shipment);
  CHECK(server.taken.size() == 100);
  CHECK(shipment.refused_samples() == 0);
}

TEST_CASE("a server that begins to refuse everything half-way costs no good sample") {
  for (int turns = 1; turns < 40; ++turns) {
    INFO(turns);
    delivery::Splitter shipment;
    fill(shipment.batch(), 20, 2);
    shipment.start();
    Server server{.is_bad = [](const Sample& s) { return s.first == "m7"; }};
    for (int i = 0; i < turns && !shipment.done(); ++i) server.take(shipment);
    server.refuses_everything = true;
    for (int i = 0; i < 200 && !shipment.done(); ++i) server.take(shipment);
    server.refuses_everything = false;
    while (!shipment.done()) server.take(shipment);
    const Samples taken(server.taken.begin(), server.taken.end());
    CHECK(taken.size() == server.taken.size());
    CHECK(taken.size() == 38);
    CHECK(shipment.refused_samples() == 2);
  }
}

TEST_CASE("a conflict is dropped at once") {
  delivery::Splitter shipment;
  fill(shipment.batch(), 5, 2);
  shipment.start();
  shipment.accepted(2);
  shipment.conflicted(5);
  CHECK(shipment.done());
  CHECK(shipment.refused_samples() == 6);
}

TEST_CASE("a shipment that is refused as a whole counts its fruitless tries") {
  delivery::Splitter shipment;
  fill(shipment.batch(), 16, 1);
  shipment.start();
  Server server{.is_bad = [](const Sample&) { return true; }};
  while (shipment.fruitless_tries() < 3) server.take(shipment);
  shipment.refuse_rest();
  CHECK(shipment.wants_probe());
  server.take(shipment);
  CHECK(shipment.done());
  CHECK_FALSE(shipment.accepted_any());
  CHECK(shipment.refused_samples() == 16);
  CHECK(server.requests == 3);
}

TEST_CASE("samples of a relay's series go in their order, whichever of them is refused") {
  for (std::int64_t bad = 1; bad < 16; ++bad) {
    INFO("bad " << bad);
    delivery::Splitter shipment;
    fill(shipment.batch(), 3, 1);
    for (std::uint64_t sequence = 2; sequence < 15; ++sequence) {
      add_relayed(shipment.batch(), sequence, 100, 1, static_cast<std::int64_t>(sequence));
    }
    shipment.start();
    Server server;
    server.is_bad = [&](const Sample& sample) {
      return sample.first == "m100" && sample.second == bad;
    };
    while (!shipment.done()) server.take(shipment);
    std::vector<std::int64_t> times;
    for (const auto& [name, time] : server.taken) {
      if (name == "m100") times.push_back(time);
    }
    CHECK(std::is_sorted(times.begin(), times.end()));
    CHECK(times.size() == (bad >= 2 && bad < 15 ? 12u : 13u));
    CHECK(server.taken.size() == times.size() + 3);
    CHECK(shipment.refused_samples() == 13 - times.size());
  }
}

TEST_CASE(
    "what a relay received goes in its order where a request is cut and its beginning refused") {
  delivery::Splitter shipment;
  fill(shipment.batch(), 3, 1);
  for (std::uint64_t sequence = 2; sequence < 15; ++sequence) {
    add_relayed(shipment.batch(), sequence, 100, 1, static_cast<std::int64_t>(sequence));
  }
  shipment.start();
  Server server;
  server.rows_max = 6;
  server.is_bad = [](const Sample& sample) { return sample.first == "m1"; };
  while (!shipment.done()) server.take(shipment);
  std::vector<std::int64_t> times;
  for (const auto& [name, time] : server.taken) {
    if (name == "m100") times.push_back(time);
  }
  CHECK(times.size() == 13);
  CHECK(std::is_sorted(times.begin(), times.end()));
  CHECK(shipment.refused_samples() == 1);
}

TEST_CASE(
    "what is too large for the server is no refusal, however often a relay's requests are halved") {
  delivery::Splitter shipment;
  constexpr std::size_t kNames = 40;
  Server server;
  start_with_ten_requests(shipment, kNames, server);
  server.samples_max = 1;
  while (!shipment.done()) server.take(shipment);
  CHECK(server.requests > static_cast<int>(delivery::Splitter::kRefusalsMax));
  CHECK(shipment.refused_samples() == 0);
  CHECK(server.taken.size() == 10 * kNames);
  CHECK(Samples(server.taken.begin(), server.taken.end()).size() == 10 * kNames);
}

TEST_CASE("refusals are counted for the rows of each request") {
  delivery::Splitter shipment;
  constexpr std::size_t kNames = 100;
  Server server;
  start_with_ten_requests(shipment, kNames, server);
  server.is_bad = [](const Sample& sample) { return sample.first.ends_with("7"); };
  while (!shipment.done()) server.take(shipment);
  CHECK(server.requests > static_cast<int>(delivery::Splitter::kRefusalsMax));
  CHECK(shipment.refused_samples() == 10 * kNames / 10);
  CHECK(server.taken.size() == 10 * kNames * 9 / 10);
}

TEST_CASE("a relay's request that cannot be read is counted once where another is refused") {
  delivery::Splitter shipment;
  add_relayed(shipment.batch(), 1, 0, 10, 1);
  shipment.batch().add(
      {2, 2, nullptr,
       std::make_shared<const queue::Request>(queue::Request{nullptr, 7, 1, 1, "damaged"})});
  shipment.start();
  const auto all = shipment.front();
  shipment.refused(all.rows_end);  // what is readable of it
  Server server;
  server.is_bad = [](const Sample& sample) { return sample.first == "m3"; };
  while (!shipment.done()) server.take(shipment);
  CHECK(server.taken.size() == 9);
  CHECK(shipment.refused_samples() == 1 + 7);
}

TEST_CASE("a released shipment can be filled again") {
  delivery::Splitter shipment;
  fill(shipment.batch(), 5, 2);
  shipment.start();
  shipment.refused(5);
  shipment.release();
  CHECK(shipment.done());
  fill(shipment.batch(), 1, 1);
  shipment.start();
  CHECK(samples_of(shipment.front()).size() == 1);
}

}  // namespace msp
