#include "agent/queue/batch.h"

#include <utility>

namespace msp::queue {

void Batch::clear() {
  entries_.clear();
  samples_ = 0;
  duplicates_ = 0;
  left_out_ = 0;
  edited_.clear();
  grouped_ = false;
  is_full_ = false;
}

void Batch::add(Entry entry) {
  samples_ += entry.samples();
  entries_.push_back(std::move(entry));
  grouped_ = false;
}

bool Batch::last_timestamp_of(std::string_view stream, std::int64_t& timestamp_ms) const {
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->scrape == nullptr || entry->stream_name() != stream) continue;
    timestamp_ms = entry->scrape->timestamp_ms;
    return true;
  }
  return false;
}

std::span<const Batch::Row> Batch::rows() {
  if (!std::exchange(grouped_, true)) group();
  return rows_;
}

/// A new row, where there is none for these labels.
std::uint32_t Batch::row_of(const metrics::SeriesPtr& series) {
  const auto* sent = &series;
  if (edit_) {
    auto edited = edit_(series);
    if (edited == nullptr) return kNoRow;
    sent = &edited_.emplace_back(std::move(edited));
  }
  const auto row = labels_.number_of((*sent)->labels.flat());
  if (row == rows_.size()) rows_.push_back({.series = sent->get()});
  return row;
}

/// A counting sort: which row is each sample's, how many has each row, then every sample to its
/// place.
void Batch::group() {
  rows_.clear();
  row_of_sample_.clear();
  labels_.clear();
  edited_.clear();
  duplicates_ = 0;
  left_out_ = 0;
  const metrics::SeriesSet* previous = nullptr;
  for (const auto& entry : entries_) {
    if (entry.scrape == nullptr) continue;
    const auto& set = *entry.scrape->series;
    if (previous == &set) {
      for (std::size_t end = row_of_sample_.size(), i = end - set.size(); i < end; ++i) {
        row_of_sample_.push_back(row_of_sample_[i]);
      }
      continue;
    }
    for (const auto& series : set) row_of_sample_.push_back(row_of(series));
    previous = &set;
  }

  for (const auto row : row_of_sample_) {
    row == kNoRow ? ++left_out_ : ++rows_[row].points_count;
  }
  std::uint32_t begin = 0;
  for (auto& row : rows_) {
    row.points_begin = begin;
    begin += std::exchange(row.points_count, 0);
  }
  points_.resize(row_of_sample_.size());
  std::size_t sample = 0;
  for (const auto& entry : entries_) {
    if (entry.scrape == nullptr) continue;
    for (const double value : entry.scrape->values) {
      const auto number = row_of_sample_[sample++];
      if (number == kNoRow) continue;
      auto& row = rows_[number];
      const auto* last =
          row.points_count == 0 ? nullptr : &points_[row.points_begin + row.points_count - 1];
      if (last != nullptr && last->timestamp_ms >= entry.scrape->timestamp_ms) {
        ++duplicates_;
        continue;
      }
      points_[row.points_begin + row.points_count++] = {entry.scrape->timestamp_ms, value};
    }
  }
  for (const auto& entry : entries_) {
    if (entry.request != nullptr) rows_.push_back({.request = entry.request.get()});
  }
}

}  // namespace msp::queue
