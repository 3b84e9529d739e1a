#include "agent/metrics/series_writer.h"

#include <catch2/catch.hpp>

#include "agent/metrics/exposition.h"

namespace msp {
namespace {

constexpr metrics::MetricDesc kBytes{"bytes_total", "Bytes.", "", metrics::MetricType::counter,
                                     "device"};
constexpr metrics::MetricDesc kLoad{"load", "Load.", ""};

struct Fixture {
  metrics::ScrapeBuilder builder{
      metrics::TargetLabels{{{"customer_id", "alpha"}}, {{"device", "default"}, {"region", "r1"}}}};
  metrics::SeriesWriter& writer = builder.add_writer();

  metrics::Scrape tick(std::initializer_list<std::string_view> devices) {
    builder.begin(writer);
    double value = 0;
    for (const auto device : devices) writer.add(kBytes, {device}, ++value);
    writer.add(kLoad, 0.5);
    REQUIRE(builder.commit(writer).has_value());
    return builder.finish(1000);
  }
};

std::string device(const metrics::Scrape& scrape, std::size_t i) {
  return std::string((*scrape.series)[i]->labels.get("device"));
}

}  // namespace

TEST_CASE("labels: the target's forced ones win, its defaults give way") {
  Fixture f;
  f.builder.begin(f.writer);
  constexpr metrics::MetricDesc kFamily{"m", "", "", metrics::MetricType::gauge,
                                        "customer_id,device"};
  f.writer.add(kFamily, {"evil", "sda"}, 1);
  REQUIRE(f.builder.commit(f.writer).has_value());
  const auto scrape = f.builder.finish(0);
  const auto& labels = (*scrape.series)[0]->labels;
  CHECK(labels.get("customer_id") == "alpha");
  CHECK(labels.get("device") == "sda");
  CHECK(labels.get("region") == "r1");
  CHECK(labels.get("__name__") == "m");
}

TEST_CASE("scrapes share one series set while nothing changes") {
  Fixture f;
  const auto first = f.tick({"sda", "sdb"});
  const auto second = f.tick({"sda", "sdb"});
  CHECK(first.series == second.series);
  CHECK(second.values == std::vector<double>{1, 2, 0.5});
}

TEST_CASE("a series that is gone ends with one stale marker") {
  Fixture f;
  f.tick({"sda", "sdb"});
  const auto ended = f.tick({"sdb"});
  REQUIRE(ended.values.size() == 3);
  CHECK(device(ended, 0) == "sdb");
  CHECK(device(ended, 2) == "sda");
  CHECK(metrics::is_stale_marker(ended.values[2]));
  const auto after = f.tick({"sdb"});
  CHECK(after.values == std::vector<double>{1, 0.5});
}

TEST_CASE("a new series among known ones, and one that comes back") {
  Fixture f;
  f.tick({"sda", "sdc"});
  CHECK(f.tick({"sda", "sdb", "sdc"}).values == std::vector<double>{1, 2, 3, 0.5});
  f.tick({"sda", "sdc"});
  const auto back = f.tick({"sda", "sdb", "sdc"});
  CHECK(device(back, 1) == "sdb");
  CHECK(back.values == std::vector<double>{1, 2, 3, 0.5});
}

TEST_CASE("a failed tick neither ends series nor forgets them") {
  Fixture f;
  f.tick({"sda", "sdb"});
  f.builder.begin(f.writer);
  f.writer.add(kBytes, {"sdz"}, 9);
  f.builder.rollback(f.writer);
  CHECK(f.builder.finish(0).values.empty());
  const auto after = f.tick({"sda"});
  REQUIRE(after.values.size() == 3);
  CHECK(device(after, 2) == "sdb");
  CHECK(metrics::is_stale_marker(after.values[2]));
}

TEST_CASE("a series reported twice fails the tick and names it") {
  Fixture f;
  f.builder.begin(f.writer);
  f.writer.add(kBytes, {"sda"}, 1);
  f.writer.add(kBytes, {"sda"}, 2);
  const auto outcome = f.builder.commit(f.writer);
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().text.find("device=\"sda\"") != std::string::npos);
  CHECK(f.builder.finish(0).values.empty());
}

TEST_CASE("as many series as a segment holds, all new, then all moved by one") {
  // Done in a second or two; with a search among all for each it would not end.
  metrics::ScrapeBuilder builder(metrics::SeriesRules{.series_max = SIZE_MAX});
  auto& writer = builder.add_writer();
  constexpr int kSeries = 1 << 18;
  for (const int first : {0, 1}) {
    builder.begin(writer);
    for (int i = first; i < kSeries; ++i) writer.add(kBytes, {std::to_string(i)}, i);
    REQUIRE(builder.commit(writer).has_value());
    CHECK(builder.finish(0).values.size() == kSeries);  // the one that went ends with a marker
  }
}

namespace {

metrics::NewSeries series_of(const std::string& name, std::vector<metrics::Label> labels = {}) {
  labels.push_back({"__name__", name});
  return {std::move(labels), metrics::make_desc(name, "Help.", metrics::MetricType::untyped)};
}

struct Outside {
  explicit Outside(metrics::SeriesRules rules = {}) : builder(std::move(rules)) {}

  void add(const std::string& name, double value) {
    const auto make = [&]() -> Result<metrics::NewSeries> {
      ++made;
      return series_of(name);
    };
    REQUIRE(writer.add_outside(name, value, make).has_value());
  }
  Result<void> take(const std::vector<std::string>& names) {
    builder.begin(writer);
    for (const auto& name : names) add(name, 1);
    return builder.commit(writer);
  }
  std::string text(const std::vector<std::string>& names) {
    REQUIRE(take(names).has_value());
    std::string text;
    const auto scrape = builder.finish(0);
    for (std::size_t i = 0; i < scrape.values.size(); ++i) {
      text += metrics::series_text(*(*scrape.series)[i]);
      text += metrics::is_stale_marker(scrape.values[i]) ? "- " : " ";
    }
    return text;
  }

  metrics::ScrapeBuilder builder;
  metrics::SeriesWriter& writer = builder.add_writer();
  int made = 0;
};

}  // namespace

TEST_CASE("a series from outside is made at its first sight only") {
  Outside f({.labels = {{{"customer_id", "alpha"}}, {{"job", "db"}}}});
  CHECK(f.text({"a", "b"}) ==
        "a{customer_id=\"alpha\",job=\"db\"} b{customer_id=\"alpha\",job=\"db\"} ");
  f.text({"a", "b"});
  CHECK(f.made == 2);
  f.text({"b", "c", "a"});
  CHECK(f.made == 3);
  f.text({"a"});
  f.text({"a", "b"});
  CHECK(f.made == 4);
}

TEST_CASE("what cannot be made into a series is passed on, and the tick can be taken back") {
  Outside f;
  f.text({"a"});
  f.builder.begin(f.writer);
  const auto outcome = f.writer.add_outside(
      "{", 1, []() -> Result<metrics::NewSeries> { return failed("line 7: no name"); });
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().text == "line 7: no name");
  f.builder.rollback(f.writer);
  CHECK(f.text({"a"}) == "a ");
}

TEST_CASE("relabelling happens once, at first sight, and what is forced stays forced") {
  int calls = 0;
  Outside f({.labels = {{{"customer_id", "alpha"}}, {{"env", "test"}}},
             .relabel = [&](std::vector<metrics::Label>& labels) {
               ++calls;
               for (auto& label : labels) {
                 if (label.name == "__name__" && label.value == "drop") return false;
                 if (label.name == "__name__" && label.value == "unnamed") label.value.clear();
                 if (label.name == "customer_id") label.value = "evil";
                 if (label.name == "env") label.value = "production";
               }
               return true;
             }});
  const std::string kept = "keep{customer_id=\"alpha\",env=\"production\"} ";
  CHECK(f.text({"drop", "keep", "unnamed"}) == kept);
  CHECK(f.text({"drop", "keep", "unnamed"}) == kept);
  CHECK(calls == 3);
  CHECK(f.writer.samples() == 3);
  CHECK(f.writer.sent() == 1);
  // What was never sent ends without a word.
  CHECK(f.text({"keep"}) == kept);
  CHECK(f.text({"drop"}).find("keep{") == 0);
  CHECK(f.text({"drop"}).empty());
}

TEST_CASE("of two samples of one series from outside the second is left out and counted") {
  Outside f;
  f.builder.begin(f.writer);
  f.add("a", 1);
  f.add("a", 2);
  f.add("b", 3);
  REQUIRE(f.builder.commit(f.writer).has_value());
  const auto scrape = f.builder.finish(0);
  CHECK(scrape.values == std::vector<double>{1, 3});
  CHECK(f.builder.duplicates() == 1);
  CHECK(f.builder.duplicate() == "a");
  f.text({"a", "b"});
  CHECK(f.builder.duplicates() == 0);
}

TEST_CASE("series that come to be equal, within a part or across parts, are sent once") {
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  auto& first = builder.add_writer();
  auto& second = builder.add_writer();
  const auto tick = [&](std::initializer_list<std::string_view> firsts,
                        std::initializer_list<std::string_view> seconds) {
    for (auto* writer : {&first, &second}) {
      builder.begin(*writer);
      double value = writer == &first ? 0 : 100;
      for (const auto device : writer == &first ? firsts : seconds) {
        writer->add(kBytes, {device}, ++value);
      }
      REQUIRE(builder.commit(*writer).has_value());
    }
    return builder.finish(0);
  };
  // Both are U+FFFD once they are UTF-8.
  CHECK(tick({"\xff", "\xfe", "sda"}, {"sda", "sdb"}).values == std::vector<double>{1, 3, 102});
  CHECK(builder.duplicates() == 2);
  CHECK(builder.duplicate() == "bytes_total{device=\"\xef\xbf\xbd\"}");
  // Tick after tick, without another look.
  CHECK(tick({"\xff", "\xfe", "sda"}, {"sda", "sdb"}).values == std::vector<double>{1, 3, 102});
  CHECK(builder.duplicates() == 2);
  // The first part no longer has it: the second one's is sent, and the series has not ended.
  CHECK(tick({"\xfe"}, {"sda", "sdb"}).values == std::vector<double>{1, 101, 102});
  CHECK(builder.duplicates() == 0);
  const auto last = tick({}, {});
  CHECK(last.values.size() == 3);
}

TEST_CASE("a part that would go over the limit on series is refused, and the others stay") {
  metrics::ScrapeBuilder builder({.series_max = 100});
  auto& small = builder.add_writer();
  auto& large = builder.add_writer();
  auto& about = builder.add_exempt_writer();
  const auto tick = [&](int devices) {
    builder.begin(small);
    for (int i = 0; i < 40; ++i) small.add(kBytes, {"small" + std::to_string(i)}, i);
    REQUIRE(builder.commit(small).has_value());
    builder.begin(large);
    for (int i = 0; i < devices; ++i) large.add(kBytes, {"large" + std::to_string(i)}, i);
    const auto outcome = builder.commit(large);
    builder.begin(about);
    about.add(kLoad, 1);
    REQUIRE(builder.commit(about).has_value());
    CHECK(large.is_over_limit() == !outcome.has_value());
    if (!outcome) CHECK(outcome.error().text == "over the limit of 100 series (series_max)");
    return builder.finish(0).values.size();
  };
  CHECK(tick(60) == 101);
  CHECK(tick(61) == 41);
  for (int i = 0; i < 50; ++i) CHECK(tick(50'000) == 41);
  CHECK(tick(60) == 41);  // seen to fit: the next one is taken
  CHECK(tick(60) == 101);
}

TEST_CASE("help and name of a series from outside live as long as the series") {
  metrics::SeriesPtr series;
  {
    Outside f;
    REQUIRE(f.take({"a_metric_with_a_long_name_that_is_on_the_heap"}).has_value());
    series = f.builder.finish(0).series->front();
  }
  CHECK(series->desc->name == "a_metric_with_a_long_name_that_is_on_the_heap");
  CHECK(series->desc->help == "Help.");
  CHECK(series->desc->type == metrics::MetricType::untyped);
}

}  // namespace msp
