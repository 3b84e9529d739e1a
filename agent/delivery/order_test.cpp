#include "agent/delivery/order_test.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/text.h"

namespace msp::delivery {

queue::Batch probe_for(queue::Batch& batch, std::int64_t timestamp_ms, std::int64_t run) {
  const auto rows = batch.rows();
  std::vector<metrics::Label> labels{{std::string(metrics::kMetricName), std::string(kProbe.name)},
                                     {"run", cat(run)}};
  const auto first = std::find_if(
      rows.begin(), rows.end(), [](const queue::Batch::Row& row) { return row.series != nullptr; });
  // A relay's requests are not looked into: of those alone it has no labels.
  for (const auto label : first != rows.end() ? first->series->labels : metrics::Labels()) {
    const bool shared =
        label.name != metrics::kMetricName &&
        std::all_of(first, rows.end(), [&](const queue::Batch::Row& row) {
          return row.series == nullptr || row.series->labels.get(label.name) == label.value;
        });
    if (shared) labels.push_back({std::string(label.name), std::string(label.value)});
  }
  auto series = std::make_shared<const metrics::Series>(
      metrics::Series{metrics::Labels(std::move(labels)), &kProbe});
  auto set = std::make_shared<const metrics::SeriesSet>(1, std::move(series));
  queue::Batch probe;
  probe.add(0, std::make_shared<const metrics::Scrape>(
                   metrics::Scrape{timestamp_ms, std::move(set), {1}}));
  return probe;
}

}  // namespace msp::delivery
