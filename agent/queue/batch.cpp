#include "agent/queue/batch.h"

#include <utility>

namespace msp {

void Batch::clear() {
  scrapes_.clear();
  sequences_.clear();
  samples_ = 0;
  grouped_ = false;
}

void Batch::add(std::uint64_t sequence, std::shared_ptr<const Scrape> scrape) {
  sequences_.push_back(sequence);
  samples_ += scrape->values.size();
  scrapes_.push_back(std::move(scrape));
  grouped_ = false;
}

std::span<const Batch::Row> Batch::rows() {
  if (!std::exchange(grouped_, true)) group();
  return rows_;
}

/// A counting sort: which row is each sample's, how many has each row, then every sample to its
/// place.
void Batch::group() {
  rows_.clear();
  row_of_sample_.clear();
  labels_.clear();
  const SeriesSet* previous = nullptr;
  for (const auto& scrape : scrapes_) {
    const auto& set = *scrape->series;
    if (previous == &set) {
      for (std::size_t end = row_of_sample_.size(), i = end - set.size(); i < end; ++i) {
        row_of_sample_.push_back(row_of_sample_[i]);
      }
      continue;
    }
    for (const auto& series : set) {
      const auto row = labels_.number_of(series->labels.flat());
      if (row == rows_.size()) rows_.push_back({series.get(), 0, 0});
      row_of_sample_.push_back(row);
    }
    previous = &set;
  }

  for (const auto row : row_of_sample_) ++rows_[row].points_count;
  std::uint32_t begin = 0;
  for (auto& row : rows_) {
    row.points_begin = begin;
    begin += std::exchange(row.points_count, 0);
  }
  points_.resize(samples_);
  std::size_t sample = 0;
  for (const auto& scrape : scrapes_) {
    for (const double value : scrape->values) {
      auto& row = rows_[row_of_sample_[sample++]];
      const auto* last =
          row.points_count == 0 ? nullptr : &points_[row.points_begin + row.points_count - 1];
      if (last != nullptr && last->timestamp_ms >= scrape->timestamp_ms) continue;
      points_[row.points_begin + row.points_count++] = {scrape->timestamp_ms, value};
    }
  }
}

}  // namespace msp
