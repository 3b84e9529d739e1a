#include "agent/metrics/series_writer.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <unordered_set>
#include <utility>

#include "agent/base/string_table.h"
#include "agent/base/text.h"
#include "agent/metrics/exposition.h"

namespace msp::metrics {
namespace {

[[gnu::cold]] std::vector<Label> labels_of(const MetricDesc& desc,
                                           SeriesWriter::LabelValues label_values) {
  std::vector<Label> labels;
  labels.push_back({std::string(kMetricName), std::string(desc.name)});
  auto names = desc.label_names;
  for (const auto value : label_values) {
    const auto comma = names.find(',');
    labels.push_back({std::string(names.substr(0, comma)), std::string(value)});
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  }
  return labels;
}

/// Leaves what Labels would leave: of two labels with one name the earlier one, none that is empty.
[[gnu::cold]] void drop_shadowed(std::vector<Label>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (auto j = labels.size() - 1; j > i; --j) {
      if (labels[j].name == labels[i].name)
        labels.erase(labels.begin() + static_cast<std::ptrdiff_t>(j));
    }
  }
  std::erase_if(labels, [](const Label& label) { return label.value.empty(); });
}

[[gnu::cold]] bool has_name(const std::vector<Label>& labels, std::string_view name) {
  for (const auto& label : labels) {
    if (label.name == name) return true;
  }
  return false;
}

/// Of two labels with one name the earlier one counts, and an empty one is none.
[[gnu::cold]] std::vector<Label> with_target(std::vector<Label> own, const TargetLabels& target) {
  if (target.own == OwnLabel::is_renamed) {
    std::erase_if(own, [](const Label& label) { return label.value.empty(); });
    rename_own(own, target);
  }
  std::vector<Label> labels;
  if (target.own != OwnLabel::wins) labels = target.forced;
  for (auto& label : own) {
    if (!label.value.empty() || !has_name(target.forced, label.name)) {
      labels.push_back(std::move(label));
    }
  }
  if (target.own == OwnLabel::wins) {
    labels.insert(labels.end(), target.forced.begin(), target.forced.end());
  }
  labels.insert(labels.end(), target.defaults.begin(), target.defaults.end());
  return labels;
}

/// Null: relabelling drops it.
[[gnu::cold]] SeriesPtr make_series(std::vector<Label> own, DescPtr desc,
                                    const TargetLabels& target, const Relabel& relabel) {
  auto labels = with_target(std::move(own), target);
  if (relabel) {
    drop_shadowed(labels);
    if (!relabel(labels)) return nullptr;
    const auto at = target.own == OwnLabel::wins ? labels.end() : labels.begin();
    labels.insert(at, target.forced.begin(), target.forced.end());
  }
  Labels made(std::move(labels));
  if (made.get(kMetricName).empty()) return nullptr;
  return std::make_shared<const Series>(Series{std::move(made), std::move(desc)});
}

std::size_t hash_of(const MetricDesc* desc, std::string_view key) {
  return std::hash<std::string_view>()(key) + std::hash<const void*>()(desc) * 31;
}

}  // namespace

/// The shortest names first: of "job" and "exported_job" the latter stays,
/// if only "job" is the target's.
[[gnu::cold]] void rename_own(std::vector<Label>& own, const TargetLabels& target) {
  const auto is_taken = [&](std::string_view name) {
    return has_name(target.forced, name) || has_name(target.defaults, name);
  };
  for (;;) {
    Label* shortest = nullptr;
    for (auto& label : own) {
      if (!is_taken(label.name)) continue;
      if (shortest == nullptr || label.name.size() < shortest->name.size()) shortest = &label;
    }
    if (shortest == nullptr) return;
    auto name = shortest->name;
    do {
      name.insert(0, "exported_");
    } while (is_taken(name) || has_name(own, name));
    shortest->name = std::move(name);
  }
}

void SeriesWriter::begin(std::size_t series_max, bool is_by_room) {
  values_.clear();
  order_.clear();
  ended_.clear();
  duplicate_.clear();
  known_ = slots_.size();
  known_keys_ = keys_.size();
  expected_ = counted_ = twice_ = 0;
  series_max_ = series_max;
  is_by_room_ = is_by_room;
  only_counts_ = refused_ticks_ % kTryEvery != 0;
  is_over_ = has_failed_ = committed_ = false;
  for (auto& slot : slots_) slot.seen = false;
}

bool SeriesWriter::admits() {
  if (!only_counts_ && !is_over_) return true;
  ++counted_;
  return false;
}

void SeriesWriter::add(const MetricDesc& desc, LabelValues label_values, double value) {
  if (!admits()) return;
  auto index = expected_;
  if (index >= slots_.size() || !matches(slots_[index], desc, label_values)) {
    std::string key;
    for (const auto label_value : label_values) key.append(label_value).push_back('\0');
    index = find(&desc, key);
    if (index == kNone) {
      index = insert(&desc, key,
                     make_series(labels_of(desc, label_values), &desc, rules_->labels, relabel()));
    }
  }
  if (slots_[index].seen) has_failed_ = true;
  record(index, value);
}

void SeriesWriter::record(std::size_t index, double value) {
  auto& slot = slots_[index];
  if (slot.seen) {
    ++twice_;
    if (duplicate_.empty())
      duplicate_ = slot.series ? series_text(*slot.series) : std::string(key_of(slot));
    return;
  }
  slot.seen = true;
  const auto position = values_.size();
  if (index != position && order_.empty()) {
    for (std::uint32_t i = 0; i < position; ++i) order_.push_back(i);
  }
  if (index != position || !order_.empty()) order_.push_back(static_cast<std::uint32_t>(index));
  values_.push_back(value);
  expected_ = index + 1;
  if (slot.series != nullptr && !is_exempt_ && ++counted_ > series_max_) is_over_ = true;
}

bool SeriesWriter::matches(const Slot& slot, const MetricDesc& desc,
                           LabelValues label_values) const {
  if (slot.desc != &desc) return false;
  auto key = key_of(slot);
  for (const auto value : label_values) {
    if (key.size() <= value.size() || !key.starts_with(value) || key[value.size()] != '\0') {
      return false;
    }
    key.remove_prefix(value.size() + 1);
  }
  return key.empty();
}

std::size_t SeriesWriter::expected(std::string_view key) {
  if (expected_ < slots_.size()) {
    const auto& slot = slots_[expected_];
    if (slot.desc == nullptr && key_of(slot) == key) return expected_;
  }
  return find(nullptr, key);
}

/// The slot of a series that was not where it was expected. A device that came or went moves all
/// that follow, and a host may have thousands: then the slots are indexed, for this tick.
std::size_t SeriesWriter::find(const MetricDesc* desc, std::string_view key) {
  constexpr std::size_t kIndexMin = 64;
  if (index_.size() < 2 * (slots_.size() + 1)) {
    auto size = std::max(kIndexMin, index_.size());
    while (size < 2 * (slots_.size() + 1)) size *= 2;
    index_.assign(size, 0);
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
      auto at = hash_of(slots_[i].desc, key_of(slots_[i])) & (size - 1);
      while (index_[at] != 0) at = (at + 1) & (size - 1);
      index_[at] = i + 1;
    }
  }
  const auto mask = index_.size() - 1;
  for (auto at = hash_of(desc, key) & mask; index_[at] != 0; at = (at + 1) & mask) {
    const auto& slot = slots_[index_[at] - 1];
    if (slot.desc == desc && key_of(slot) == key) return index_[at] - 1;
  }
  return kNone;
}

std::size_t SeriesWriter::insert(std::string_view key, NewSeries series) {
  return insert(
      nullptr, key,
      make_series(std::move(series.labels), std::move(series.desc), rules_->labels, relabel()));
}

/// find() was called for it before, and has made the index large enough.
std::size_t SeriesWriter::insert(const MetricDesc* desc, std::string_view key, SeriesPtr series) {
  const auto mask = index_.size() - 1;
  auto at = hash_of(desc, key) & mask;
  while (index_[at] != 0) at = (at + 1) & mask;
  slots_.push_back({.series = std::move(series),
                    .desc = desc,
                    .key_at = static_cast<std::uint32_t>(keys_.size()),
                    .key_bytes = static_cast<std::uint32_t>(key.size()),
                    .seen = false,
                    .is_duplicate = false});
  keys_ += key;
  index_[at] = static_cast<std::uint32_t>(slots_.size());
  if (!is_exempt_ && slots_.size() - known_ > kDroppedTimesMax * series_max_) is_over_ = true;
  return slots_.size() - 1;
}

Result<void> SeriesWriter::commit() {
  if (is_over_ || only_counts_) {
    const bool fits = only_counts_ && counted_ <= series_max_;
    rollback();
    refused_ticks_ = fits ? kTryEvery : refused_ticks_ + 1;
    if (is_by_room_) {
      return failed(cat("the agent's memory has room for ", grouped(rules_->room->max),
                        " series of all sources, and the others have ",
                        grouped(rules_->room->used - sent_),
                        ": leave metrics out, or raise MemoryMax="));
    }
    return failed(cat("over the limit of ", grouped(rules_->series_max), " series (series_max)"));
  }
  if (has_failed_) {
    const auto error = cat("reported twice: ", duplicate_);
    rollback();
    refused_ticks_ = 0;
    return failed(error);
  }
  refused_ticks_ = 0;
  index_ = {};
  committed_ = true;
  sent_ = counted_;
  added_ = static_cast<std::size_t>(
      std::count_if(slots_.begin() + static_cast<std::ptrdiff_t>(known_), slots_.end(),
                    [](const Slot& slot) { return slot.series != nullptr; }));
  changed_ = slots_.size() != values_.size() || slots_.size() != known_ || !order_.empty();
  if (changed_) take_order();
  return {};
}

/// Leaves the slots that were reported, in the order in which they were.
void SeriesWriter::take_order() {
  for (auto& slot : slots_) {
    if (!slot.seen && slot.series != nullptr) ended_.push_back(slot.series);
  }
  if (order_.empty()) {
    slots_.erase(slots_.begin() + static_cast<std::ptrdiff_t>(values_.size()), slots_.end());
    compact();
    return;
  }
  std::vector<Slot> reported;
  reported.reserve(order_.size());
  for (const auto index : order_) reported.push_back(std::move(slots_[index]));
  slots_ = std::move(reported);
  order_ = {};
  compact();
}

/// Leaves the keys of the slots that are left, in their order, and no room for more.
void SeriesWriter::compact() {
  std::size_t bytes = 0;
  for (const auto& slot : slots_) bytes += slot.key_bytes;
  std::string keys;
  keys.reserve(bytes);
  for (auto& slot : slots_) {
    const auto key = key_of(slot);
    slot.key_at = static_cast<std::uint32_t>(keys.size());
    keys += key;
  }
  keys_ = std::move(keys);
  slots_.shrink_to_fit();
}

void SeriesWriter::rollback() {
  index_ = {};
  values_.clear();
  order_.clear();
  slots_.erase(slots_.begin() + static_cast<std::ptrdiff_t>(known_), slots_.end());
  keys_.resize(known_keys_);
  committed_ = false;
}

SeriesWriter& ScrapeBuilder::add_exempt_writer() {
  auto& writer = add_writer();
  writer.is_exempt_ = true;
  return writer;
}

ScrapeBuilder::~ScrapeBuilder() {
  for (auto& writer : writers_) {
    const auto sent = std::exchange(writer.sent_, 0);
    count(writer, sent);
  }
}

void ScrapeBuilder::begin(SeriesWriter& writer) {
  const auto own = writer.is_exempt_ ? 0 : writer.sent_;
  const auto left = [&](std::size_t max, std::size_t used) {
    return max - std::min(used - own, max);
  };
  const auto most = left(rules_.series_max, *series_count_);
  const auto room =
      rules_.keeps_to_room && rules_.room ? left(rules_.room->max, rules_.room->used) : most;
  writer.begin(std::min(most, room), room < most);
}

/// What a writer has sent is now another number than before.
void ScrapeBuilder::count(const SeriesWriter& writer, std::size_t sent_before) {
  if (writer.is_exempt_) return;
  *series_count_ += writer.sent_ - sent_before;
  if (rules_.room) rules_.room->used += writer.sent_ - sent_before;
}

Result<void> ScrapeBuilder::commit(SeriesWriter& writer) {
  const auto sent_before = writer.sent_;
  auto outcome = writer.commit();
  count(writer, sent_before);
  return outcome;
}

void ScrapeBuilder::end(SeriesWriter& writer) {
  const auto refused_ticks = writer.refused_ticks_;
  writer.begin(SIZE_MAX);
  writer.only_counts_ = false;
  static_cast<void>(commit(writer));
  writer.refused_ticks_ = refused_ticks;
}

Scrape ScrapeBuilder::finish(std::int64_t timestamp_ms) {
  bool same = series_ != nullptr && ended_ == 0;
  for (const auto& writer : writers_) {
    same = same && writer.committed_ == writer.in_last_scrape_ &&
           !(writer.committed_ && writer.changed_);
  }
  if (!same) make_set();

  Scrape scrape{timestamp_ms, series_, {}, rules_.stream};
  scrape.values.reserve(series_->size());
  duplicates_ = duplicates_of_set_;
  duplicate_ = duplicate_of_set_;
  for (auto& writer : writers_) {
    if (!writer.committed_) continue;
    if (writer.left_out_ == 0) {
      scrape.values.insert(scrape.values.end(), writer.values_.begin(), writer.values_.end());
    } else {
      for (std::size_t i = 0; i < writer.values_.size(); ++i) {
        const auto& slot = writer.slots_[i];
        if (slot.series && !slot.is_duplicate) scrape.values.push_back(writer.values_[i]);
      }
    }
    duplicates_ += writer.twice_;
    if (duplicate_.empty()) duplicate_ = writer.duplicate_;
    writer.committed_ = false;
    writer.ended_ = {};
  }
  scrape.values.resize(series_->size(), stale_marker());
  return scrape;
}

/// Each series once: of two that have come to have the same labels the first stays.
void ScrapeBuilder::make_set() {
  std::size_t most = 0;
  for (const auto& writer : writers_) most += writer.slots_.size() + writer.ended_.size();
  auto set = std::make_shared<SeriesSet>();
  set->reserve(most);
  StringTable labels;
  const auto is_new = [&](const SeriesPtr& series) {
    if (labels.number_of(series->labels.flat()) < set->size()) return false;
    set->push_back(series);
    return true;
  };

  duplicates_of_set_ = 0;
  duplicate_of_set_.clear();
  for (auto& writer : writers_) {
    writer.in_last_scrape_ = writer.committed_;
    if (!writer.committed_) continue;
    writer.left_out_ = 0;
    for (auto& slot : writer.slots_) {
      slot.is_duplicate = slot.series != nullptr && !is_new(slot.series);
      if (slot.series == nullptr || slot.is_duplicate) ++writer.left_out_;
      if (!slot.is_duplicate) continue;
      if (++duplicates_of_set_ == 1) duplicate_of_set_ = series_text(*slot.series);
    }
  }
  const auto present = set->size();
  for (const auto& writer : writers_) {
    if (!writer.committed_) continue;
    for (const auto& series : writer.ended_) is_new(series);
  }
  ended_ = set->size() - present;
  set->shrink_to_fit();
  series_ = std::move(set);
}

void end_missing_series(const SeriesSet& before, Scrape& scrape) {
  std::unordered_set<std::string_view> present;
  for (const auto& series : *scrape.series) present.insert(series->labels.flat());
  SeriesSet ended;
  for (const auto& series : before) {
    if (!present.contains(series->labels.flat())) ended.push_back(series);
  }
  if (ended.empty()) return;
  auto all = std::make_shared<SeriesSet>(*scrape.series);
  all->insert(all->end(), ended.begin(), ended.end());
  scrape.series = std::move(all);
  scrape.values.resize(scrape.series->size(), stale_marker());
}

}  // namespace msp::metrics
