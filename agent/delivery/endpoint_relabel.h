// The rules of one endpoint (remote_write.relabel), applied once to each series that goes to it. Where
// a series keeps its labels it stays the same object.
//
// One thread. Holds what is sent, as much again of what was, and no more than kKnownEnd.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/metrics/relabel.h"
#include "agent/metrics/sample.h"

namespace msp::delivery {

class EndpointRelabel {
 public:
  explicit EndpointRelabel(const std::vector<metrics::RelabelRule>& rules) : relabeler_(rules) {}

  /// What the series goes as; null: the rules drop it.
  metrics::SeriesPtr operator()(const metrics::SeriesPtr& series);

  std::size_t known() const { return known_.size(); }

 private:
  struct Known {
    metrics::SeriesPtr series;  // has the key
    metrics::SeriesPtr sent;
    std::uint64_t used = 0;  // in this round
  };
  static constexpr std::size_t kKnownMin = 1024;
  static constexpr std::size_t kKnownEnd = 300'000;

  metrics::SeriesPtr relabel(const metrics::SeriesPtr& series) const;
  void forget_unused();

  const metrics::Relabeler relabeler_;
  std::unordered_map<std::string_view, Known> known_;  // by the labels
  std::size_t known_max_ = kKnownMin;
  std::uint64_t round_ = 1;  // another one begins when a series is asked for that was already
};

}  // namespace msp::delivery
