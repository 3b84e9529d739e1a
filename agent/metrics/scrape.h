// Makes a Scrape of what collectors report, tick after tick.
//
// A SampleWriter is one collector's part. It remembers the series of the last good tick in their
// order and expects the next tick to report the same ones: then a sample costs one comparison of
// label values, with no hashing and no allocation. What is new is made, what is gone ends with a
// stale marker. A tick that fails leaves the writer as it was, so that an error in a collector
// neither invents the end of its series nor forgets them.
//
// Main thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/result.h"
#include "agent/metrics/complaints.h"
#include "agent/metrics/sample.h"

namespace msp {

/// Labels that every series carries, and who wins where a collector reports a label of the same
/// name.
struct TargetLabels {
  std::vector<Label> forced;    // customer_id, server_name: they win
  std::vector<Label> defaults;  // all others: the collector's own label wins
  friend bool operator==(const TargetLabels&, const TargetLabels&) = default;
};

class SampleWriter {
 public:
  using LabelValues = std::initializer_list<std::string_view>;

  /// `labels` outlives the writer.
  explicit SampleWriter(const TargetLabels& labels) : labels_(&labels) {}

  /// Adds one sample. `family` has static storage duration; there are as many values as it has
  /// label names. Values are copied only when the series is new; an empty one means that the series
  /// does not have that label.
  void add(const Family& family, LabelValues label_values, double value);
  void add(const Family& family, double value) { add(family, {}, value); }

  /// Added in this tick.
  std::size_t samples() const { return values_.size(); }

  /// Where the collector says what it leaves out.
  Complaints& complaints() { return complaints_; }

 private:
  friend class ScrapeBuilder;

  struct Slot {
    SeriesPtr series;
    std::string key;  // the label values, each followed by NUL
    bool seen = false;
  };

  void begin();
  Result<void> commit();
  void rollback();

  std::size_t find(const Family& family, LabelValues label_values);
  static bool matches(const Slot& slot, const Family& family, LabelValues label_values);

  const TargetLabels* labels_;
  std::vector<Slot> slots_;           // of the last good tick, in its order; new ones behind
  std::vector<double> values_;        // this tick's, in the order they were added
  std::vector<std::uint32_t> order_;  // this tick's slots, in the same order
  std::vector<SeriesPtr> ended_;      // series of the last good tick that this one no longer has
  std::map<std::pair<const Family*, std::string>, std::size_t> index_;  // of slots_, once needed
  Complaints complaints_;
  const Series* duplicate_ = nullptr;
  std::size_t known_ = 0;     // slots at the start of the tick
  std::size_t expected_ = 0;  // the slot that the next sample should match
  bool committed_ = false;
  bool in_last_scrape_ = false;
  bool changed_ = false;  // other series, or in another order, than in the last good tick
};

/// Ends the series of `before` that `scrape` does not have: it gets a stale marker for each.
void end_missing_series(const SeriesSet& before, Scrape& scrape);

class ScrapeBuilder {
 public:
  explicit ScrapeBuilder(TargetLabels labels) : labels_(std::move(labels)) {}
  ScrapeBuilder(const ScrapeBuilder&) = delete;
  ScrapeBuilder& operator=(const ScrapeBuilder&) = delete;

  /// A new part, owned by the builder. Parts appear in a scrape in the order they were made.
  SampleWriter& add_writer() { return writers_.emplace_back(labels_); }

  void begin(SampleWriter& writer) { writer.begin(); }

  /// Takes the writer's samples into this tick. An error names a series that was reported twice;
  /// then none is taken.
  Result<void> commit(SampleWriter& writer) { return writer.commit(); }

  /// Drops what the writer was given in this tick.
  void rollback(SampleWriter& writer) { writer.rollback(); }

  /// The scrape of everything committed since the last call.
  Scrape finish(std::int64_t timestamp_ms);

 private:
  TargetLabels labels_;
  std::deque<SampleWriter> writers_;  // addresses stay
  std::shared_ptr<const SeriesSet> series_;
  bool has_ended_ = false;  // series_ holds series that ended in the last scrape
};

}  // namespace msp
