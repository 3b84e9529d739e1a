#include "agent/queue/batch.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/support/scrapes.h"

namespace msp {
namespace {

using test::scrape;
using test::series_set;

/// name -> "timestamp=value ..." in the batch's order.
std::map<std::string, std::string> content(Batch& batch) {
  std::map<std::string, std::string> rows;
  for (const auto& row : batch.rows()) {
    auto& text = rows[std::string(row.series->labels.get("__name__"))];
    REQUIRE(text.empty());  // one row per series
    for (const auto& point : batch.points(row)) {
      text += std::to_string(point.timestamp_ms) + "=" + std::to_string(int(point.value)) + " ";
    }
  }
  return rows;
}

void add(Batch& batch, Scrape scrape) {
  batch.add(0, std::make_shared<const Scrape>(std::move(scrape)));
}

}  // namespace

TEST_CASE("a batch has one row per series, its points oldest first") {
  const auto set = series_set({"a", "b"});
  Batch batch;
  add(batch, scrape(10, set, {1, 2}));
  add(batch, scrape(20, set, {3, 4}));
  add(batch, scrape(30, set, {5, 6}));
  CHECK(content(batch) ==
        std::map<std::string, std::string>{{"a", "10=1 20=3 30=5 "}, {"b", "10=2 20=4 30=6 "}});
  CHECK(batch.samples() == 6);
}

TEST_CASE("a batch joins equal series of different sets, whoever made them") {
  Batch batch;
  add(batch, scrape(10, series_set({"a", "b"}), {1, 2}));
  add(batch, scrape(20, series_set({"b", "c"}), {3, 4}));
  const auto last = series_set({"a"});
  add(batch, scrape(30, last, {5}));
  add(batch, scrape(40, last, {6}));
  CHECK(content(batch) == std::map<std::string, std::string>{
                              {"a", "10=1 30=5 40=6 "}, {"b", "10=2 20=3 "}, {"c", "20=4 "}});
}

TEST_CASE("a batch says which scrapes are in it, and how many samples each has") {
  Batch batch;
  batch.add(7, std::make_shared<const Scrape>(scrape(10, series_set({"a", "b"}), {1, 2})));
  batch.add(9, std::make_shared<const Scrape>(scrape(20, series_set({"a"}), {3})));
  REQUIRE(batch.sequences().size() == 2);
  CHECK(batch.sequences()[0] == 7);
  CHECK(batch.sequences()[1] == 9);
  CHECK(batch.last_sequence() == 9);
  CHECK(batch.samples_of(0) == 2);
  CHECK(batch.samples_of(1) == 1);
}

TEST_CASE("a cleared batch starts anew") {
  Batch batch;
  add(batch, scrape(10, series_set({"a"}), {1}));
  CHECK(batch.rows().size() == 1);
  batch.clear();
  CHECK(batch.empty());
  CHECK(batch.rows().empty());
  add(batch, scrape(20, series_set({"b"}), {2}));
  CHECK(content(batch) == std::map<std::string, std::string>{{"b", "20=2 "}});
}

TEST_CASE("of two samples of one series in one scrape a batch has the first") {
  const auto set = series_set({"a", "b", "a"});
  Batch batch;
  add(batch, scrape(10, set, {1, 2, 3}));
  add(batch, scrape(20, set, {4, 5, 6}));
  CHECK(content(batch) ==
        std::map<std::string, std::string>{{"a", "10=1 20=4 "}, {"b", "10=2 20=5 "}});
  CHECK(batch.samples() == 6);  // what it was given
}

}  // namespace msp
