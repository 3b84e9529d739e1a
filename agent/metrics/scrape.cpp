#include "agent/metrics/scrape.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "agent/base/text.h"

namespace msp {
namespace {

Series make_series(const Family& family, SampleWriter::LabelValues label_values,
                   const TargetLabels& target) {
  std::vector<Label> labels = target.forced;  // the earlier of two equal names wins
  labels.push_back({std::string(kMetricName), std::string(family.name)});
  auto names = family.label_names;
  for (const auto value : label_values) {
    const auto comma = names.find(',');
    labels.push_back({std::string(names.substr(0, comma)), std::string(value)});
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  }
  labels.insert(labels.end(), target.defaults.begin(), target.defaults.end());
  return Series{Labels(std::move(labels)), &family};
}

}  // namespace

void SampleWriter::begin() {
  values_.clear();
  order_.clear();
  ended_.clear();
  duplicate_ = nullptr;
  known_ = slots_.size();
  expected_ = 0;
  committed_ = false;
  for (auto& slot : slots_) slot.seen = false;
}

void SampleWriter::add(const Family& family, LabelValues label_values, double value) {
  auto index = expected_;
  if (index >= slots_.size() || !matches(slots_[index], family, label_values)) {
    index = find(family, label_values);
  }
  auto& slot = slots_[index];
  if (slot.seen) duplicate_ = slot.series.get();
  slot.seen = true;
  values_.push_back(value);
  order_.push_back(static_cast<std::uint32_t>(index));
  expected_ = index + 1;
}

bool SampleWriter::matches(const Slot& slot, const Family& family, LabelValues label_values) {
  if (slot.series->family != &family) return false;
  std::string_view key = slot.key;
  for (const auto value : label_values) {
    if (key.size() <= value.size() || !key.starts_with(value) || key[value.size()] != '\0') {
      return false;
    }
    key.remove_prefix(value.size() + 1);
  }
  return key.empty();
}

/// The slot of a series that was not where it was expected, made if there is none. A device that
/// came or went moves all that follow, and a host may have thousands: then the slots are indexed,
/// for this tick.
std::size_t SampleWriter::find(const Family& family, LabelValues label_values) {
  if (index_.empty()) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      index_.emplace(std::pair(slots_[i].series->family, slots_[i].key), i);
    }
  }
  std::string key;
  for (const auto value : label_values) key.append(value).push_back('\0');
  const auto [place, is_new] = index_.try_emplace(std::pair(&family, key), slots_.size());
  if (is_new) {
    auto series = std::make_shared<const Series>(make_series(family, label_values, *labels_));
    slots_.push_back({std::move(series), std::move(key)});
  }
  return place->second;
}

Result<void> SampleWriter::commit() {
  index_.clear();
  if (duplicate_ != nullptr) {
    std::string series;
    for (const auto label : duplicate_->labels) {
      series += cat(series.empty() ? "" : ", ", label.name, "=\"", label.value, '"');
    }
    rollback();
    return failed(cat("reported twice: {", series, "}"));
  }
  committed_ = true;
  changed_ = slots_.size() != order_.size() || slots_.size() != known_;
  for (std::size_t i = 0; i < order_.size() && !changed_; ++i) changed_ = order_[i] != i;
  if (!changed_) return {};

  std::vector<Slot> reported;
  reported.reserve(order_.size());
  for (const auto index : order_) reported.push_back(slots_[index]);
  for (auto& slot : slots_) {
    if (!slot.seen) ended_.push_back(std::move(slot.series));
  }
  slots_ = std::move(reported);
  return {};
}

void SampleWriter::rollback() {
  index_.clear();
  values_.clear();
  order_.clear();
  slots_.resize(known_);
  committed_ = false;
}

Scrape ScrapeBuilder::finish(std::int64_t timestamp_ms) {
  bool same = series_ != nullptr && !has_ended_;
  std::size_t samples = 0;
  for (const auto& writer : writers_) {
    same = same && writer.committed_ == writer.in_last_scrape_ &&
           !(writer.committed_ && writer.changed_);
    samples += writer.values_.size() + writer.ended_.size();
  }

  if (!same) {
    auto set = std::make_shared<SeriesSet>();
    set->reserve(samples);
    has_ended_ = false;
    for (auto& writer : writers_) {
      writer.in_last_scrape_ = writer.committed_;
      if (!writer.committed_) continue;
      for (const auto& slot : writer.slots_) set->push_back(slot.series);
      set->insert(set->end(), writer.ended_.begin(), writer.ended_.end());
      has_ended_ = has_ended_ || !writer.ended_.empty();
    }
    series_ = std::move(set);
  }

  Scrape scrape{timestamp_ms, series_, {}};
  scrape.values.reserve(samples);
  for (auto& writer : writers_) {
    if (!writer.committed_) continue;
    scrape.values.insert(scrape.values.end(), writer.values_.begin(), writer.values_.end());
    scrape.values.insert(scrape.values.end(), writer.ended_.size(), stale_marker());
    writer.committed_ = false;
    writer.ended_.clear();
  }
  return scrape;
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

}  // namespace msp
