#include "agent/metrics/series_writer.h"

#include <catch2/catch.hpp>

namespace msp {
namespace {

constexpr Family kBytes{"bytes_total", "Bytes.", "", MetricType::counter, "device"};
constexpr Family kLoad{"load", "Load.", ""};

struct Fixture {
  ScrapeBuilder builder{
      TargetLabels{{{"customer_id", "alpha"}}, {{"device", "default"}, {"region", "r1"}}}};
  SampleWriter& writer = builder.add_writer();

  Scrape tick(std::initializer_list<std::string_view> devices) {
    builder.begin(writer);
    double value = 0;
    for (const auto device : devices) writer.add(kBytes, {device}, ++value);
    writer.add(kLoad, 0.5);
    REQUIRE(builder.commit(writer).has_value());
    return builder.finish(1000);
  }
};

std::string device(const Scrape& scrape, std::size_t i) {
  return std::string((*scrape.series)[i]->labels.get("device"));
}

}  // namespace

TEST_CASE("labels: the target's forced ones win, its defaults give way") {
  Fixture f;
  f.builder.begin(f.writer);
  constexpr Family kFamily{"m", "", "", MetricType::gauge, "customer_id,device"};
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
  CHECK(is_stale_marker(ended.values[2]));
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
  CHECK(is_stale_marker(after.values[2]));
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
  ScrapeBuilder builder{TargetLabels{}};
  auto& writer = builder.add_writer();
  constexpr int kSeries = 1 << 18;
  for (const int first : {0, 1}) {
    builder.begin(writer);
    for (int i = first; i < kSeries; ++i) writer.add(kBytes, {std::to_string(i)}, i);
    REQUIRE(builder.commit(writer).has_value());
    CHECK(builder.finish(0).values.size() == kSeries);  // the one that went ends with a marker
  }
}

}  // namespace msp
