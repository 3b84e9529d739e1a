// The time zone is the process's own, which no fixture can hold.
#include <catch2/catch.hpp>

#include <cstdlib>

#include "collectors/registry.h"

namespace msp {
namespace {

struct Zone {
  double offset_seconds;
  std::string name;
};

std::unique_ptr<collectors::Collector> make(std::string_view name,
                                            const collectors::CollectorContext& context) {
  for (const auto& entry : collectors::collector_registry()) {
    if (entry.name == name) return entry.make(context);
  }
  return nullptr;
}

Zone zone_of(const char* tz, std::int64_t wall_ns) {
  setenv("TZ", tz, 1);
  const collectors::HostPaths paths{"/nowhere/proc", "/nowhere/sys", "/nowhere"};
  const collectors::Host host;
  const collectors::CollectorOptions options;
  FileTable files;
  const auto collector = make("time", {paths, host, options, files});
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  auto& writer = builder.add_writer();
  builder.begin(writer);
  REQUIRE(collector->collect({1, wall_ns}, writer));
  REQUIRE(builder.commit(writer));
  const auto scrape = builder.finish(0);
  setenv("TZ", "UTC", 1);
  tzset();
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    const auto& labels = (*scrape.series)[i]->labels;
    if (labels.get(metrics::kMetricName) != "node_time_zone_offset_seconds") continue;
    return {scrape.values[i], std::string(labels.get("time_zone"))};
  }
  FAIL("no node_time_zone_offset_seconds");
  return {};
}

TEST_CASE("the time zone is the one in force at the tick", "[time]") {
  constexpr std::int64_t kJanuary = 1'705'000'000'000'000'000;
  constexpr std::int64_t kJuly = 1'720'000'000'000'000'000;

  const auto seoul = zone_of("KST-9", kJanuary);
  CHECK(seoul.offset_seconds == 9 * 3600);
  CHECK(seoul.name == "KST");

  const char* const new_york = "EST5EDT,M3.2.0,M11.1.0";
  CHECK(zone_of(new_york, kJanuary).offset_seconds == -5 * 3600);
  CHECK(zone_of(new_york, kJanuary).name == "EST");
  CHECK(zone_of(new_york, kJuly).offset_seconds == -4 * 3600);
  CHECK(zone_of(new_york, kJuly).name == "EDT");
}

}  // namespace
}  // namespace msp
