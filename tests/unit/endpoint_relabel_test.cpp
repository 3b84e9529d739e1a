#include "agent/delivery/endpoint_relabel.h"

#include <catch2/catch.hpp>

#include "agent/base/text.h"
#include "agent/metrics/exposition.h"
#include "agent/queue/batch.h"

namespace msp {
namespace {

SeriesPtr series(std::string name, std::string device = {}) {
  return std::make_shared<const Series>(Series{
      Labels(
          {{"__name__", std::move(name)}, {"customer_id", "alpha"}, {"device", std::move(device)}}),
      nullptr});
}

std::string text(const SeriesPtr& series) {
  return series ? series_text(*series) : std::string("dropped");
}

const RelabelRule kDropGo{
    .action = RelabelAction::drop, .source_labels = {"__name__"}, .regex = "go_.*"};

}  // namespace

TEST_CASE("endpoint relabel: a series is dropped, changed, or stays the same object") {
  EndpointRelabel relabel(
      {kDropGo,
       {.source_labels = {"device"},
        .regex = "sd.",
        .target_label = "device",
        .replacement = "disk"},
       {.action = RelabelAction::labelmap, .regex = "device(.*)", .replacement = "customer_id$1"}});
  CHECK(text(relabel(series("go_threads"))) == "dropped");
  CHECK(text(relabel(series("a", "sda"))) == "a{customer_id=\"alpha\",device=\"disk\"}");
  const auto same = series("b");
  CHECK(relabel(same) == same);
  // The same labels in another object, as they come from the disk, are not looked at again.
  CHECK(relabel(series("b")) == same);
}

TEST_CASE("endpoint relabel: what is no longer sent is forgotten") {
  EndpointRelabel relabel({kDropGo});
  const auto steady = series("steady");
  for (int round = 0; round < 40; ++round) {
    relabel(steady);
    for (int i = 0; i < 500; ++i) relabel(series("a", cat(round, "-", i)));
  }
  CHECK(relabel.known() <= 4 * 500 + 1);
}

TEST_CASE(
    "batch: samples of dropped series are in no row, and of two that become one only the first") {
  EndpointRelabel relabel(
      {kDropGo, {.action = RelabelAction::replace, .target_label = "device", .replacement = ""}});
  Batch batch;
  batch.set_edit([&](const SeriesPtr& one) { return relabel(one); });
  const auto set = std::make_shared<const SeriesSet>(
      SeriesSet{series("go_a"), series("b", "x"), series("b", "y"), series("c")});
  for (std::uint64_t i = 1; i <= 2; ++i) {
    batch.add(i, std::make_shared<const Scrape>(
                     Scrape{static_cast<std::int64_t>(i) * 1000, set, {1, 2, 3, 4}}));
  }
  const auto rows = batch.rows();
  REQUIRE(rows.size() == 2);
  CHECK(series_text(*rows[0].series) == "b{customer_id=\"alpha\"}");
  REQUIRE(rows[0].points_count == 2);
  CHECK(batch.points(rows[0])[1].value == 2);
  CHECK(series_text(*rows[1].series) == "c{customer_id=\"alpha\"}");
  CHECK(batch.left_out() == 2);
  CHECK(batch.duplicates() == 2);
  CHECK(batch.samples() == 8);
  batch.clear();
  CHECK(batch.left_out() == 0);
}

}  // namespace msp
