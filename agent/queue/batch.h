// Entries on their way out, grouped by series: a request names each series once and gives it as many
// samples as there are scrapes in the batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "agent/base/string_table.h"
#include "agent/metrics/sample.h"
#include "agent/queue/entry.h"

namespace msp::queue {

struct Point {
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

/// Reused from request to request, so that a steady state allocates nothing. One thread at a time.
class Batch {
 public:
  /// A series with its points, or a relay's request, which is never taken apart.
  struct Row {
    const metrics::Series* series = nullptr;  // owned by the batch's entries, as is the request
    const Request* request = nullptr;         // one of the two is set
    std::uint32_t points_begin = 0;           // of a series
    std::uint32_t points_count = 0;

    std::uint64_t samples() const { return request != nullptr ? request->samples : points_count; }
  };

  /// What a series goes as; null: it is not sent.
  using Edit = std::function<metrics::SeriesPtr(const metrics::SeriesPtr& series)>;

  /// Applied to the series of all scrapes, from then on. Empty: each goes as it is.
  void set_edit(Edit edit) { edit_ = std::move(edit); }
  const Edit& edit() const { return edit_; }

  void clear();

  /// Takes an entry that is newer than all before it.
  void add(Entry entry);
  void add(std::uint64_t sequence, std::shared_ptr<const metrics::Scrape> scrape) {
    add(Entry{sequence, sequence, std::move(scrape), nullptr});
  }

  /// One row per series, its points strictly growing in time, then one per request; valid until
  /// clear() or add().
  std::span<const Row> rows();
  std::span<const Point> points(const Row& row) const {
    return {points_.data() + row.points_begin, row.points_count};
  }
  /// Samples that are in no row: of two of one series at one time only the first is sent, for a
  /// request with both would be refused. Known after rows().
  std::size_t duplicates() const { return duplicates_; }
  /// Samples that are in no row, because the edit has dropped their series. Known after rows().
  std::size_t left_out() const { return left_out_; }

  /// More waits of what was asked for than a batch may have.
  bool is_full() const { return is_full_; }
  void set_full() { is_full_ = true; }

  bool empty() const { return entries_.empty(); }
  std::size_t samples() const { return samples_; }
  /// In the order of their sequences.
  std::span<const Entry> entries() const { return entries_; }
  std::uint64_t last_sequence() const { return entries_.back().last_sequence; }
  /// The newest time of the stream's scrapes in here; false: there is none.
  bool last_timestamp_of(std::string_view stream, std::int64_t& timestamp_ms) const;

 private:
  void group();
  std::uint32_t row_of(const metrics::SeriesPtr& series);

  static constexpr std::uint32_t kNoRow = UINT32_MAX;

  Edit edit_;
  std::vector<Entry> entries_;
  std::size_t samples_ = 0;
  std::size_t duplicates_ = 0;
  std::size_t left_out_ = 0;
  bool grouped_ = false;
  bool is_full_ = false;
  std::vector<Row> rows_;
  std::vector<Point> points_;
  std::vector<metrics::SeriesPtr> edited_;    // what the edit has made, for the rows
  StringTable labels_;                        // of the rows, as flat(): the same numbers
  std::vector<std::uint32_t> row_of_sample_;  // of all scrapes, one after the other
};

}  // namespace msp::queue
