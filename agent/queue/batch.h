// Scrapes on their way out, grouped by series: a request names each series once and gives it as
// many samples as there are scrapes in the batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "agent/base/string_table.h"
#include "agent/metrics/sample.h"

namespace msp {

struct Point {
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

/// Reused from request to request, so that a steady state allocates nothing. One thread at a time.
class Batch {
 public:
  struct Row {
    const Series* series;  // owned by the batch's scrapes
    std::uint32_t points_begin;
    std::uint32_t points_count;
  };

  void clear();

  /// Takes a scrape that is newer than all before it. `sequence` is its place in the buffer.
  void add(std::uint64_t sequence, std::shared_ptr<const Scrape> scrape);

  /// One row per series, its points strictly growing in time; valid until clear() or add(). Of two
  /// samples of one series in one scrape (names that became equal when they were made UTF-8) only
  /// the first is in it: a request with both would be refused.
  std::span<const Row> rows();
  std::span<const Point> points(const Row& row) const {
    return {points_.data() + row.points_begin, row.points_count};
  }

  bool empty() const { return scrapes_.empty(); }
  std::size_t samples() const { return samples_; }
  /// Its scrapes' places in the buffer, ascending.
  std::span<const std::uint64_t> sequences() const { return sequences_; }
  /// Of the scrape at `sequences()[index]`.
  std::size_t samples_of(std::size_t index) const { return scrapes_[index]->values.size(); }
  std::int64_t last_timestamp_ms() const { return scrapes_.back()->timestamp_ms; }
  std::uint64_t last_sequence() const { return sequences_.back(); }

 private:
  void group();

  std::vector<std::shared_ptr<const Scrape>> scrapes_;
  std::vector<std::uint64_t> sequences_;  // of scrapes_
  std::size_t samples_ = 0;
  bool grouped_ = false;
  std::vector<Row> rows_;
  std::vector<Point> points_;
  StringTable labels_;                        // of the rows, as flat(): the same numbers
  std::vector<std::uint32_t> row_of_sample_;  // of all scrapes, one after the other
};

}  // namespace msp
