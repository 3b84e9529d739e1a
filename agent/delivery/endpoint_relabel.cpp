#include "agent/delivery/endpoint_relabel.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace msp::delivery {

metrics::SeriesPtr EndpointRelabel::operator()(const metrics::SeriesPtr& series) {
  const auto found = known_.find(series->labels.flat());
  if (found != known_.end()) {
    if (found->second.used == round_) ++round_;
    found->second.used = round_;
    return found->second.sent;
  }
  if (known_.size() >= known_max_) forget_unused();
  auto sent = relabel(series);
  known_.emplace(series->labels.flat(), Known{series, sent, round_});
  return sent;
}

metrics::SeriesPtr EndpointRelabel::relabel(const metrics::SeriesPtr& series) const {
  std::vector<metrics::Label> labels;
  for (const auto label : series->labels) {
    labels.push_back({std::string(label.name), std::string(label.value)});
  }
  auto sent = labels;
  if (!relabeler_(sent)) return nullptr;
  // No rule names them, but one may make their names (labelmap).
  for (const auto name : metrics::kIdentityLabels) {
    const auto value = series->labels.get(name);
    if (!value.empty()) sent.insert(sent.begin(), {std::string(name), std::string(value)});
  }
  metrics::Labels made(std::move(sent));
  if (made.get(metrics::kMetricName).empty()) return nullptr;
  if (made == series->labels) return series;
  return std::make_shared<const metrics::Series>(metrics::Series{std::move(made), series->desc});
}

/// What was not asked for in this round and the one before.
void EndpointRelabel::forget_unused() {
  std::erase_if(known_, [&](const auto& entry) { return entry.second.used + 1 < round_; });
  if (known_.size() >= kKnownEnd) known_.clear();
  known_max_ = std::max(kKnownMin, 2 * known_.size());
}

}  // namespace msp::delivery
