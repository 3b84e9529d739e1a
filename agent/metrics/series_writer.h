// Makes a Scrape of what a source reports, tick after tick.
//
// A SeriesWriter is one part of a source: all or nothing. It remembers the series of the last good
// tick in their order and expects the next tick to report the same ones: then a sample costs one
// comparison of label values, with no hashing and no allocation. What is new is made, relabelled
// once and remembered; what is gone ends with a stale marker. A tick that fails leaves the writer as
// it was, so that an error in a collector neither invents the end of its series nor forgets them.
//
// Promised: no scrape has two samples of one series, whatever the parts report; a part that would
// take the source over its limit on series is refused as a whole and holds no more memory than the
// limit allows.
//
// Main thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/result.h"
#include "agent/metrics/complaints.h"
#include "agent/metrics/sample.h"

namespace msp::metrics {

/// What becomes of a label that a series brings itself and its target has, too. This is the one place
/// that knows it.
enum class OwnLabel {
  wins_over_defaults,  // forced ones win over it
  is_renamed,          // to exported_X, as Prometheus does it; one that is empty is none
  wins,                // over all (honor_labels); one that is empty takes a default away
};

/// Labels that every series of a source carries.
struct TargetLabels {
  std::vector<Label> forced;    // customer_id, server_name: every series has them
  std::vector<Label> defaults;  // all others
  OwnLabel own = OwnLabel::wins_over_defaults;
  friend bool operator==(const TargetLabels&, const TargetLabels&) = default;
};

/// Renames labels of `own` that the target has, too, to exported_X, as Prometheus does it.
void rename_own(std::vector<Label>& own, const TargetLabels& target);

/// Changes the labels of a series when it is first seen, its name (__name__) among them; false: the
/// series is not sent. What was forced by TargetLabels is forced again afterwards.
using Relabel = std::function<bool(std::vector<Label>& labels)>;

inline constexpr std::size_t kSeriesMaxDefault = 25'000;
/// With more, a scrape in which every series ends and another one begins would be more than a record
/// on disk holds.
inline constexpr std::size_t kSeriesMaxEnd = 130'000;

/// How many series count for a limit at present.
using SeriesCount = std::shared_ptr<std::size_t>;

/// How many series the sources of an agent have at present, and how many fit into its memory.
struct SeriesRoom {
  std::size_t used = 0;
  std::size_t max = SIZE_MAX;
};

/// What holds for all series of one source.
struct SeriesRules {
  TargetLabels labels = {};
  StreamPtr stream = nullptr;                  // of the source's scrapes
  std::size_t series_max = kSeriesMaxDefault;  // in one scrape
  Relabel relabel = nullptr;                   // may be empty: all are sent as they are
  Relabel relabel_about = nullptr;             // the same of what the agent says of the source
  SeriesCount series_count = nullptr;          // of sources that share one limit; null: its own
  std::shared_ptr<SeriesRoom> room = nullptr;  // that it takes part of; null: it is endless
  bool keeps_to_room = false;  // refused where there is none left; false: only counted there
};

/// A series from outside at its first sight: its labels, __name__ among them, and what is known of
/// its metric.
struct NewSeries {
  std::vector<Label> labels;
  DescPtr desc;
};

class SeriesWriter {
 public:
  using LabelValues = std::initializer_list<std::string_view>;

  /// `rules` outlives the writer.
  explicit SeriesWriter(const SeriesRules& rules) : rules_(&rules) {}

  /// Adds a sample of a metric that is known at compile time. `desc` has static storage duration;
  /// there are as many values as it has label names. Values are copied only when the series is new;
  /// an empty one means that the series does not have that label. A second sample of one series
  /// fails the tick.
  void add(const MetricDesc& desc, LabelValues label_values, double value);
  void add(const MetricDesc& desc, double value) { add(desc, {}, value); }

  /// Adds a sample of a series from outside. `key` tells the series from others of this writer byte
  /// by byte: best is the text that it came as, for then nothing needs to be parsed again. `make()`
  /// gives a Result<NewSeries> when the key is new; its error is passed on. A second sample of one
  /// series is left out and counted.
  template <typename Make>
  Result<void> add_outside(std::string_view key, double value, const Make& make) {
    if (!admits()) return {};
    auto index = expected(key);
    if (index == kNone) {
      auto series = make();
      if (!series) return series.error();
      index = insert(key, std::move(*series));
    }
    record(index, value);
    return {};
  }

  /// The key of the series from outside that should come next, by the last good tick; empty where
  /// there is none. Valid until something is added.
  std::string_view expected_key() const {
    if (expected_ >= slots_.size() || slots_[expected_].desc != nullptr) return {};
    return key_of(slots_[expected_]);
  }

  /// Adds a sample of the series that expected_key() has named: nothing is compared again.
  void add_expected(double value) {
    if (admits()) record(expected_, value);
  }

  /// Added in this tick, what relabelling drops included.
  std::size_t samples() const { return values_.size(); }
  /// Where the collector says what it leaves out.
  Complaints& complaints() { return complaints_; }

  /// What of the last good tick was left after relabelling.
  std::size_t sent() const { return sent_; }
  /// Series of the last good tick that the one before did not have.
  std::size_t added() const { return added_; }

  /// The last tick was refused because it went over SeriesRules::series_max.
  bool is_over_limit() const { return refused_ticks_ > 0; }

 private:
  friend class ScrapeBuilder;

  struct Slot {
    SeriesPtr series;        // null: relabelling has dropped it
    const MetricDesc* desc;  // null: from outside
    std::uint32_t key_at;    // in keys_
    std::uint32_t key_bytes : 30;
    bool seen : 1;          // in this tick
    bool is_duplicate : 1;  // the scrape has this series already
  };
  static constexpr std::size_t kNone = SIZE_MAX;
  // Of a source that is over its limit, one tick in so many is tried; the others only count.
  static constexpr unsigned kTryEvery = 20;
  // What relabelling drops costs little, but not nothing.
  static constexpr std::size_t kDroppedTimesMax = 4;

  void begin(std::size_t series_max, bool is_by_room = false);
  Result<void> commit();
  void rollback();

  const Relabel& relabel() const { return is_exempt_ ? rules_->relabel_about : rules_->relabel; }
  bool admits();
  void record(std::size_t index, double value);
  std::size_t expected(std::string_view key);
  std::size_t find(const MetricDesc* desc, std::string_view key);
  std::size_t insert(std::string_view key, NewSeries series);
  std::size_t insert(const MetricDesc* desc, std::string_view key, SeriesPtr series);
  bool matches(const Slot& slot, const MetricDesc& desc, LabelValues label_values) const;
  std::string_view key_of(const Slot& slot) const {
    return {keys_.data() + slot.key_at, slot.key_bytes};
  }
  void take_order();
  void compact();

  const SeriesRules* rules_;
  std::vector<Slot> slots_;           // of the last good tick, in its order; new ones behind
  std::vector<double> values_;        // this tick's, in the order they were added
  std::vector<std::uint32_t> order_;  // this tick's slots, once they are not in slots_' order
  std::vector<SeriesPtr> ended_;      // series of the last good tick that this one no longer has
  std::vector<std::uint32_t> index_;  // of slots_ by hash, once needed: a slot's number + 1
  Complaints complaints_;
  std::string duplicate_;       // the first series that was reported twice in this tick
  std::size_t known_ = 0;       // slots at the start of the tick
  std::size_t expected_ = 0;    // the slot that the next sample should match
  std::size_t series_max_ = 0;  // of this tick
  std::size_t counted_ = 0;     // this tick's samples that count for it
  std::size_t sent_ = 0;        // what counted in the last good tick
  std::size_t added_ = 0;       // series that were new in it
  std::size_t left_out_ = 0;    // slots that are not in the scrape
  std::size_t twice_ = 0;       // samples from outside that were left out in this tick
  unsigned refused_ticks_ = 0;  // one after the other
  bool is_exempt_ = false;      // from the limit
  bool only_counts_ = false;
  bool is_over_ = false;
  bool is_by_room_ = false;  // series_max_ is what the room has left
  bool has_failed_ = false;  // a collector reported a series twice
  bool committed_ = false;
  bool in_last_scrape_ = false;
  bool changed_ = false;        // other series, or in another order, than in the last good tick
  std::string keys_;            // of all slots: label values, each followed by NUL; or from outside
  std::size_t known_keys_ = 0;  // their bytes at the start of the tick
};

/// Ends the series of `before` that `scrape` does not have: it gets a stale marker for each.
void end_missing_series(const SeriesSet& before, Scrape& scrape);

class ScrapeBuilder {
 public:
  explicit ScrapeBuilder(SeriesRules rules)
      : rules_(std::move(rules)),
        series_count_(rules_.series_count ? rules_.series_count
                                          : std::make_shared<std::size_t>(0)) {}
  explicit ScrapeBuilder(TargetLabels labels)
      : ScrapeBuilder(SeriesRules{.labels = std::move(labels)}) {}
  ~ScrapeBuilder();
  ScrapeBuilder(const ScrapeBuilder&) = delete;
  ScrapeBuilder& operator=(const ScrapeBuilder&) = delete;

  /// A new part, owned by the builder. Parts appear in a scrape in the order they were made.
  SeriesWriter& add_writer() { return writers_.emplace_back(rules_); }
  /// One that the limit on series does not hold for: what the agent says of the scrape itself.
  SeriesWriter& add_exempt_writer();

  void begin(SeriesWriter& writer);

  /// Takes the writer's samples into this tick. An error says that a collector reported a series
  /// twice, or that the limit on series is reached; then none is taken.
  Result<void> commit(SeriesWriter& writer);

  /// Drops what the writer was given in this tick.
  void rollback(SeriesWriter& writer) { writer.rollback(); }

  /// Ends all series of the writer: its target has failed.
  void end(SeriesWriter& writer);

  /// The scrape of everything committed since the last call.
  Scrape finish(std::int64_t timestamp_ms);

  /// Of the last scrape: samples that were left out, because an earlier one is of the same series.
  std::size_t duplicates() const { return duplicates_; }
  /// The first of these, as text; empty where there are none.
  const std::string& duplicate() const { return duplicate_; }

  const SeriesRules& rules() const { return rules_; }

 private:
  void make_set();
  void count(const SeriesWriter& writer, std::size_t sent_before);

  const SeriesRules rules_;
  const SeriesCount series_count_;    // sent_ of all writers that are not exempt
  std::deque<SeriesWriter> writers_;  // addresses stay
  std::shared_ptr<const SeriesSet> series_;
  std::size_t ended_ = 0;  // series at the end of series_ that ended in the last scrape
  std::size_t duplicates_of_set_ = 0;
  std::size_t duplicates_ = 0;
  std::string duplicate_of_set_;
  std::string duplicate_;
};

}  // namespace msp::metrics
