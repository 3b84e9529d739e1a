#include "agent/queue/batch.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/support/scrapes.h"

namespace msp {
namespace {

using test::scrape;
using test::series_set;

/// name -> "timestamp=value ..." in the batch's order.
std::map<std::string, std::string> content(queue::Batch& batch) {
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

void add(queue::Batch& batch, metrics::Scrape scrape) {
  batch.add(0, std::make_shared<const metrics::Scrape>(std::move(scrape)));
}

}  // namespace

TEST_CASE("a batch has one row per series, its points oldest first") {
  const auto set = series_set({"a", "b"});
  queue::Batch batch;
  add(batch, scrape(10, set, {1, 2}));
  add(batch, scrape(20, set, {3, 4}));
  add(batch, scrape(30, set, {5, 6}));
  CHECK(content(batch) ==
        std::map<std::string, std::string>{{"a", "10=1 20=3 30=5 "}, {"b", "10=2 20=4 30=6 "}});
  CHECK(batch.samples() == 6);
}

TEST_CASE("a batch joins equal series of different sets, whoever made them") {
  queue::Batch batch;
  add(batch, scrape(10, series_set({"a", "b"}), {1, 2}));
  add(batch, scrape(20, series_set({"b", "c"}), {3, 4}));
  const auto last = series_set({"a"});
  add(batch, scrape(30, last, {5}));
  add(batch, scrape(40, last, {6}));
  CHECK(content(batch) == std::map<std::string, std::string>{
                              {"a", "10=1 30=5 40=6 "}, {"b", "10=2 20=3 "}, {"c", "20=4 "}});
}

TEST_CASE("a batch says which entries are in it, and the last time of each stream") {
  const auto set = series_set({"a", "b"});
  const auto of = [&](std::int64_t t, const char* stream) {
    auto made = scrape(t, set, {1, 2});
    made.stream = std::make_shared<const metrics::Stream>(metrics::Stream{stream});
    return std::make_shared<const metrics::Scrape>(std::move(made));
  };
  queue::Batch batch;
  batch.add(7, of(10, "host"));
  batch.add(9, of(20, "mysqld"));
  batch.add(11, of(30, "host"));
  REQUIRE(batch.entries().size() == 3);
  CHECK(batch.entries()[0].first_sequence == 7);
  CHECK(batch.entries()[1].samples() == 2);
  CHECK(batch.last_sequence() == 11);
  std::int64_t last_ms = 0;
  CHECK(batch.last_timestamp_of("host", last_ms));
  CHECK(last_ms == 30);
  CHECK(batch.last_timestamp_of("mysqld", last_ms));
  CHECK(last_ms == 20);
  CHECK_FALSE(batch.last_timestamp_of("redis", last_ms));
}

TEST_CASE("a relay's request is a row of its own behind the series, and has no time of a stream") {
  queue::Batch batch;
  const auto request =
      std::make_shared<const queue::Request>(queue::Request{nullptr, 7, 10, 30, "bytes"});
  batch.add({1, 3, nullptr, request});
  add(batch, scrape(20, series_set({"a"}), {1}));
  CHECK(batch.samples() == 8);
  std::int64_t last_ms = 0;
  CHECK(batch.last_timestamp_of("", last_ms));
  CHECK(last_ms == 20);
  const auto rows = batch.rows();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].series != nullptr);
  CHECK(rows[0].samples() == 1);
  CHECK(rows[1].request == request.get());
  CHECK(rows[1].series == nullptr);
  CHECK(rows[1].samples() == 7);
}

TEST_CASE("a cleared batch starts anew") {
  queue::Batch batch;
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
  queue::Batch batch;
  add(batch, scrape(10, set, {1, 2, 3}));
  add(batch, scrape(20, set, {4, 5, 6}));
  CHECK(content(batch) ==
        std::map<std::string, std::string>{{"a", "10=1 20=4 "}, {"b", "10=2 20=5 "}});
  CHECK(batch.samples() == 6);  // what it was given
  CHECK(batch.duplicates() == 2);
}

TEST_CASE(
    "of two streams with one series at one time a batch has the first, and counts the other") {
  queue::Batch batch;
  add(batch, scrape(10, series_set({"a", "b"}), {1, 2}));
  auto other = scrape(10, series_set({"b", "c"}), {3, 4});
  other.stream = std::make_shared<const metrics::Stream>(metrics::Stream{"other"});
  add(batch, std::move(other));
  CHECK(content(batch) ==
        std::map<std::string, std::string>{{"a", "10=1 "}, {"b", "10=2 "}, {"c", "10=4 "}});
  CHECK(batch.duplicates() == 1);
  batch.clear();
  CHECK(batch.duplicates() == 0);
}

}  // namespace msp
