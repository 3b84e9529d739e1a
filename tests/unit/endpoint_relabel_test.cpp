#include "agent/delivery/endpoint_relabel.h"

#include <catch2/catch.hpp>

#include "agent/base/text.h"
#include "agent/metrics/exposition.h"
#include "agent/queue/batch.h"

namespace msp {
namespace {

metrics::SeriesPtr series(std::string name, std::string device = {}) {
  return std::make_shared<const metrics::Series>(metrics::Series{
      metrics::Labels(
          {{"__name__", std::move(name)}, {"customer_id", "alpha"}, {"device", std::move(device)}}),
      nullptr});
}

std::string text(const metrics::SeriesPtr& series) {
  return series ? metrics::series_text(*series) : std::string("dropped");
}

const metrics::RelabelRule kDropGo{
    .action = metrics::RelabelAction::drop, .source_labels = {"__name__"}, .regex = "go_.*"};

}  // namespace

TEST_CASE("endpoint relabel: a series is dropped, changed, or stays the same object") {
  delivery::EndpointRelabel relabel({kDropGo,
                                     {.source_labels = {"device"},
                                      .regex = "sd.",
                                      .target_label = "device",
                                      .replacement = "disk"},
                                     {.action = metrics::RelabelAction::labelmap,
                                      .regex = "device(.*)",
                                      .replacement = "customer_id$1"}});
  CHECK(text(relabel(series("go_threads"))) == "dropped");
  CHECK(text(relabel(series("a", "sda"))) == "a{customer_id=\"alpha\",device=\"disk\"}");
  const auto same = series("b");
  CHECK(relabel(same) == same);
  // The same labels in another object, as they come from the disk, are not looked at again.
  CHECK(relabel(series("b")) == same);
}

TEST_CASE("endpoint relabel: what is no longer sent is forgotten") {
  delivery::EndpointRelabel relabel({kDropGo});
  const auto steady = series("steady");
  for (int round = 0; round < 40; ++round) {
    relabel(steady);
    for (int i = 0; i < 500; ++i) relabel(series("a", cat(round, "-", i)));
  }
  CHECK(relabel.known() <= 4 * 500 + 1);
}

TEST_CASE(
    "batch: samples of dropped series are in no row, and of two that become one only the first") {
  delivery::EndpointRelabel relabel(
      {kDropGo,
       {.action = metrics::RelabelAction::replace, .target_label = "device", .replacement = ""}});
  queue::Batch batch;
  batch.set_edit([&](const metrics::SeriesPtr& one) { return relabel(one); });
  const auto set = std::make_shared<const metrics::SeriesSet>(
      metrics::SeriesSet{series("go_a"), series("b", "x"), series("b", "y"), series("c")});
  for (std::uint64_t i = 1; i <= 2; ++i) {
    batch.add(i, std::make_shared<const metrics::Scrape>(
                     metrics::Scrape{static_cast<std::int64_t>(i) * 1000, set, {1, 2, 3, 4}}));
  }
  const auto rows = batch.rows();
  REQUIRE(rows.size() == 2);
  CHECK(metrics::series_text(*rows[0].series) == "b{customer_id=\"alpha\"}");
  REQUIRE(rows[0].points_count == 2);
  CHECK(batch.points(rows[0])[1].value == 2);
  CHECK(metrics::series_text(*rows[1].series) == "c{customer_id=\"alpha\"}");
  CHECK(batch.left_out() == 2);
  CHECK(batch.duplicates() == 2);
  CHECK(batch.samples() == 8);
  batch.clear();
  CHECK(batch.left_out() == 0);
}

}  // namespace msp
