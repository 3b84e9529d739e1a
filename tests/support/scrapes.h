// Scrapes made by hand.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/metrics/sample.h"

namespace msp::test {

/// A set of series that carry the given names and nothing else but customer_id.
inline std::shared_ptr<const metrics::SeriesSet> series_set(const std::vector<std::string>& names) {
  auto set = std::make_shared<metrics::SeriesSet>();
  for (const auto& name : names) {
    set->push_back(std::make_shared<const metrics::Series>(
        metrics::Series{metrics::Labels({{"__name__", name}, {"customer_id", "alpha"}}), nullptr}));
  }
  return set;
}

inline metrics::Scrape scrape(std::int64_t timestamp_ms,
                              std::shared_ptr<const metrics::SeriesSet> set,
                              std::vector<double> values) {
  return {timestamp_ms, std::move(set), std::move(values)};
}

}  // namespace msp::test
