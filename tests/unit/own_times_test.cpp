// Samples with times of their own: which scrape each comes into, and what becomes of those that repeat
// themselves, go back, or end.
#include "agent/metrics/own_times.h"

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "agent/base/text.h"
#include "agent/metrics/series_writer.h"

namespace msp {
namespace {

struct Sample {
  std::string name;
  double value;
  std::optional<std::int64_t> time_ms = std::nullopt;
};

/// By stream, then by time: the samples, "a 1".
using Seen = std::map<std::string, std::map<std::int64_t, std::set<std::string>>>;

struct Fixture {
  metrics::ScrapeBuilder builder{
      metrics::SeriesRules{.labels = {},
                           .stream = std::make_shared<const metrics::Stream>(metrics::Stream{"s"}),
                           .relabel = [](std::vector<metrics::Label>& labels) {
                             return labels.front().value != "dropped";
                           }}};
  metrics::SeriesWriter& writer = builder.add_writer();
  metrics::OwnTimes own_times;
  std::size_t left_out = 0;
  metrics::Scrape scrape;
  std::vector<metrics::Scrape> timed;

  Seen tick(const std::vector<Sample>& samples, std::int64_t now_ms) {
    builder.begin(writer);
    own_times.begin();
    for (const auto& [name, value, time_ms] : samples) {
      REQUIRE(
          writer
              .add_outside(
                  name, own_times.ticket(value, time_ms),
                  [&]() -> Result<metrics::NewSeries> {
                    return metrics::NewSeries{{{std::string(metrics::kMetricName), name}}, nullptr};
                  })
              .has_value());
    }
    REQUIRE(builder.commit(writer).has_value());
    return split(now_ms);
  }

  Seen split(std::int64_t now_ms) {
    scrape = builder.finish(now_ms);
    timed.clear();
    left_out = own_times.split(scrape, timed);
    Seen seen;
    add(scrape, seen);
    for (const auto& one : timed) add(one, seen);
    return seen;
  }

  static void add(const metrics::Scrape& scrape, Seen& seen) {
    REQUIRE(scrape.series->size() == scrape.values.size());
    for (std::size_t i = 0; i < scrape.values.size(); ++i) {
      const auto value = scrape.values[i];
      seen[scrape.stream->name][scrape.timestamp_ms].insert(
          cat((*scrape.series)[i]->labels.get(metrics::kMetricName), " ",
              metrics::is_stale_marker(value) ? "ends" : cat(value)));
    }
  }
};

}  // namespace

TEST_CASE("own times: samples without any stay in the scrape that they came in") {
  Fixture f;
  CHECK(f.tick({{"a", 1}, {"b", 2}}, 1000) == Seen{{"s", {{1000, {"a 1", "b 2"}}}}});
  CHECK(f.tick({{"a", 1}, {"b", 2}}, 2000) == Seen{{"s", {{2000, {"a 1", "b 2"}}}}});
}

TEST_CASE("own times: the samples of one time are one scrape, of a stream that stays") {
  Fixture f;
  CHECK(f.tick({{"a", 1}, {"b1", 2, 700}, {"c", 3, 800}, {"dropped", 9, 1}, {"b2", 4, 700}},
               1000) == Seen{{"s", {{1000, {"a 1"}}}},
                             {"s#1", {{700, {"b1 2", "b2 4"}}}},
                             {"s#2", {{800, {"c 3"}}}}});
  // The first one is not there any more, and another one is.
  CHECK(f.tick({{"new", 7, 1500}, {"c", 5, 1800}, {"b1", 2, 1700}, {"b2", 6, 1700}, {"a", 1}},
               2000) == Seen{{"s", {{2000, {"a 1"}}}},
                             {"s#1", {{1500, {"new 7"}}}},
                             {"s#2", {{1800, {"c 5"}}}},
                             {"s#3", {{1700, {"b1 2", "b2 6"}}}}});
  CHECK(f.tick({{"c", 5, 2800}, {"b1", 2, 2700}, {"b2", 6, 2700}, {"a", 1}}, 3000) ==
        Seen{{"s", {{3000, {"a 1"}}}},
             {"s#2", {{2800, {"c 5"}}}},
             {"s#3", {{2700, {"b1 2", "b2 6"}}}}});
}

TEST_CASE("own times: what was sent is not sent again, and what goes back is counted") {
  Fixture f;
  f.tick({{"a", 1, 700}, {"b", 2, 700}}, 1000);
  CHECK(f.tick({{"a", 1, 700}, {"b", 2, 700}}, 2000).empty());
  CHECK(f.left_out == 0);
  CHECK(f.tick({{"a", 3, 700}, {"b", 2, 1700}}, 3000) == Seen{{"s#2", {{1700, {"b 2"}}}}});
  CHECK(f.left_out == 1);
  CHECK(f.tick({{"a", 3, 800}, {"b", 2, 1600}}, 3000) == Seen{{"s#1", {{800, {"a 3"}}}}});
  CHECK(f.left_out == 1);
}

TEST_CASE("own times: a series with times gets no marker at its end, another one does") {
  Fixture f;
  f.tick({{"a", 1}, {"b", 2, 700}, {"c", 3, 800}}, 1000);
  CHECK(f.tick({{"c", 4, 1800}}, 2000) ==
        Seen{{"s", {{2000, {"a ends"}}}}, {"s#2", {{1800, {"c 4"}}}}});
  // The target fails.
  f.own_times.begin();
  f.builder.end(f.writer);
  CHECK(f.split(3000).empty());
  // It is forgotten then, and known again when it comes.
  CHECK(f.tick({{"c", 5, 2800}, {"a", 1}}, 4000) ==
        Seen{{"s", {{4000, {"a 1"}}}}, {"s#1", {{2800, {"c 5"}}}}});
  // Without a time again it is one of the scrape's.
  CHECK(f.tick({{"c", 5}, {"a", 1}}, 5000) == Seen{{"s", {{5000, {"c 5", "a 1"}}}}});
  CHECK(f.tick({{"a", 1}}, 6000) == Seen{{"s", {{6000, {"c ends", "a 1"}}}}});
}

TEST_CASE("own times: more of them than streams lose nothing") {
  Fixture f;
  std::vector<Sample> samples;
  for (int i = 0; i < 200; ++i) samples.push_back({cat("m", i), 1, 100 + i});
  const auto seen = f.tick(samples, 1000);
  CHECK(seen.size() == metrics::OwnTimes::kStreamsMax);
  std::set<std::int64_t> times;
  for (const auto& [stream, scrapes] : seen) {
    for (const auto& [time_ms, of_time] : scrapes) {
      CHECK(of_time.size() == 1);
      times.insert(time_ms);
    }
  }
  CHECK(times.size() == 200);
}

}  // namespace msp
