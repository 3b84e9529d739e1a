#include "agent/delivery/splitter.h"

#include <catch2/catch.hpp>
#include <functional>
#include <set>
#include <string>

#include "agent/base/text.h"
#include "tests/support/scrapes.h"

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

std::vector<Sample> samples_of(const delivery::Splitter::Front& front) {
  std::vector<Sample> samples;
  for (auto row = front.rows_begin; row < front.rows_end; ++row) {
    const auto& series = front.batch.rows()[row];
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
    const auto front = shipment.front();
    const auto samples = samples_of(front);
    const bool bad = refuses_everything || std::any_of(samples.begin(), samples.end(), is_bad);
    if (bad) {
      shipment.refused(front.rows_end);
    } else {
      taken.insert(taken.end(), samples.begin(), samples.end());
      shipment.accepted(front.rows_end);
    }
  }
};

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

TEST_CASE("a relay's request that is refused goes as a whole, and what is beside it arrives") {
  delivery::Splitter shipment;
  fill(shipment.batch(), 5, 1);
  for (std::uint64_t sequence = 2; sequence < 6; ++sequence) {
    const auto request = std::make_shared<const queue::Request>(
        queue::Request{nullptr, 10 + sequence, 1, 1, "never looked into"});
    shipment.batch().add({sequence, sequence, nullptr, request});
  }
  shipment.start();
  constexpr std::size_t kBad = 7;  // rows: five series, four requests
  std::set<std::size_t> taken;
  while (!shipment.done()) {
    if (shipment.wants_probe()) {
      shipment.probe_accepted();
      continue;
    }
    const auto front = shipment.front();
    if (front.rows_begin <= kBad && kBad < front.rows_end) {
      shipment.refused(front.rows_end);
      continue;
    }
    for (auto row = front.rows_begin; row < front.rows_end; ++row) {
      CHECK(taken.insert(row).second);
    }
    shipment.accepted(front.rows_end);
  }
  CHECK(taken == std::set<std::size_t>{0, 1, 2, 3, 4, 5, 6, 8});
  CHECK(shipment.refused_samples() == 14);
  CHECK_FALSE(shipment.refused_series().empty());
}

TEST_CASE("requests of a relay are taken in their order, whichever of them is refused") {
  for (std::size_t bad = 0; bad < 16; ++bad) {
    INFO("bad " << bad);
    delivery::Splitter shipment;
    fill(shipment.batch(), 3, 1);
    for (std::uint64_t sequence = 2; sequence < 15; ++sequence) {
      const auto at_ms = static_cast<std::int64_t>(sequence);
      const auto request = std::make_shared<const queue::Request>(
          queue::Request{nullptr, 1, at_ms, at_ms, "never looked into"});
      shipment.batch().add({sequence, sequence, nullptr, request});
    }
    shipment.start();
    std::vector<std::size_t> taken;  // rows: three series, then the requests
    while (!shipment.done()) {
      if (shipment.wants_probe()) {
        shipment.probe_accepted();
        continue;
      }
      const auto front = shipment.front();
      if (front.rows_begin <= bad && bad < front.rows_end) {
        shipment.refused(front.rows_end);
        continue;
      }
      for (auto row = front.rows_begin; row < front.rows_end; ++row) {
        if (row >= 3) taken.push_back(row);
      }
      shipment.accepted(front.rows_end);
    }
    CHECK(std::is_sorted(taken.begin(), taken.end()));
    CHECK(taken.size() == (bad >= 3 ? 12u : 13u));
  }
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
