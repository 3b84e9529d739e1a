#include "agent/delivery/splitter.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "agent/base/text.h"

namespace msp::delivery {
namespace {

std::string row_text(const queue::Batch::Row& row) {
  if (row.request != nullptr) return cat("a request of ", row.request->samples, " samples");
  const auto& series = *row.series;
  std::string labels;
  for (const auto label : series.labels) {
    if (label.name == metrics::kMetricName) continue;
    labels += cat(labels.empty() ? "" : ",", label.name, "=\"", label.value, "\"");
  }
  return cat(series.labels.get(metrics::kMetricName), "{", labels, "}");
}

/// What the row is known by from batch to batch.
std::size_t hash_of(const queue::Batch::Row& row) {
  return row.series != nullptr ? std::hash<std::string_view>()(row.series->labels.flat()) : 0;
}

}  // namespace

void Splitter::release() {
  auto suspects = std::move(suspects_);
  auto edit = batch_.edit();
  *this = Splitter();
  suspects_ = std::move(suspects);
  batch_.set_edit(std::move(edit));
}

void Splitter::start() {
  queue_all();
  doubtful_.clear();
  conflicting_.clear();
  accepted_any_ = false;
  halved_ = false;
  server_takes_something_ = false;
  refusals_ = 0;
  refused_samples_ = 0;
  refused_series_.clear();
}

void Splitter::queue_all() {
  queue_.clear();
  const auto rows = batch_.rows().size();
  std::size_t begin = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    if (!is_suspect(row)) continue;
    if (begin < row) queue_.push_back({.rows_begin = begin, .rows_end = row});
    begin = row + 1;
    queue_.push_back({.rows_begin = row, .rows_end = begin});
  }
  if (begin < rows) queue_.push_back({.rows_begin = begin, .rows_end = rows});
}

bool Splitter::is_suspect(std::size_t row) {
  return !suspects_.empty() && std::find(suspects_.begin(), suspects_.end(),
                                         hash_of(batch_.rows()[row])) != suspects_.end();
}

void Splitter::suspect(const Piece& piece) {
  if (is_suspect(piece.rows_begin)) return;
  if (suspects_.size() == kSuspectsMax) suspects_.erase(suspects_.begin());
  suspects_.push_back(hash_of(batch_.rows()[piece.rows_begin]));
}

void Splitter::clear_suspects(const Piece& piece) {
  for (auto row = piece.rows_begin; row < piece.rows_end && !suspects_.empty(); ++row) {
    std::erase(suspects_, hash_of(batch_.rows()[row]));
  }
}

Splitter::Front Splitter::front() {
  const auto& piece = queue_.front();
  if (piece.points_end == 0) return {batch_, piece.rows_begin, piece.rows_end};
  const auto& row = batch_.rows()[piece.rows_begin];
  // The series belongs to the batch, which outlives these points.
  const auto set = std::make_shared<const metrics::SeriesSet>(
      1, metrics::SeriesPtr(metrics::SeriesPtr(), row.series));
  points_.clear();
  for (auto i = piece.points_begin; i < piece.points_end; ++i) {
    const auto& point = batch_.points(row)[i];
    points_.add(i, std::make_shared<const metrics::Scrape>(
                       metrics::Scrape{point.timestamp_ms, set, {point.value}}));
  }
  return {points_, 0, 1};
}

/// The front up to `rows_end`, which is no longer in the queue.
Splitter::Piece Splitter::take(std::size_t rows_end) {
  auto& front = queue_.front();
  auto taken = front;
  if (front.points_end == 0 && rows_end < front.rows_end) {
    taken.rows_end = rows_end;
    front.rows_begin = rows_end;
  } else {
    queue_.pop_front();
  }
  return taken;
}

void Splitter::accepted(std::size_t rows_end) {
  clear_suspects(take(rows_end));
  accepted_any_ = true;
  on_evidence();
}

void Splitter::conflicted(std::size_t rows_end) {
  const auto piece = take(rows_end);
  halved_ = true;
  name_refused(piece);
  if (server_takes_something_) {
    refused_samples_ += points_of(piece);
  } else {
    conflicting_.push_back(piece);
  }
}

void Splitter::refused(std::size_t rows_end) {
  const auto piece = take(rows_end);
  ++refusals_;
  halved_ = true;
  const bool is_request = batch_.rows()[piece.rows_begin].request != nullptr;
  if (piece.rows_end - piece.rows_begin > 1 || (!is_request && points_of(piece) > 1)) {
    halve(piece);
  } else {
    doubt(piece);
  }
}

void Splitter::halve(const Piece& piece) {
  auto first = piece;
  auto second = piece;
  const auto rows = piece.rows_end - piece.rows_begin;
  if (rows > 1) {
    first.rows_end = second.rows_begin = piece.rows_begin + rows / 2;
    if (batch_.rows()[piece.rows_end - 1].request == nullptr) {
      queue_.push_back(first);
      queue_.push_back(second);
      return;
    }
    // Requests come last, and may have samples of one series: they go in their order.
    queue_.push_front(second);
    queue_.push_front(first);
    return;
  }
  // Points go in time order, so the earlier ones first, down to the last.
  if (piece.points_end == 0) second.points_end = points_of(piece);
  first.points_end = second.points_begin =
      piece.points_begin + (second.points_end - piece.points_begin) / 2;
  queue_.push_front(second);
  queue_.push_front(first);
}

std::size_t Splitter::points_of(const Piece& piece) {
  if (piece.points_end != 0) return piece.points_end - piece.points_begin;
  std::size_t points = 0;
  for (auto row = piece.rows_begin; row < piece.rows_end; ++row) {
    points += batch_.rows()[row].samples();
  }
  return points;
}

void Splitter::doubt(const Piece& piece) {
  doubtful_.push_back(piece);
  name_refused(piece);
}

void Splitter::name_refused(const Piece& piece) {
  if (!refused_series_.empty()) return;
  refused_series_ = row_text(batch_.rows()[piece.rows_begin]);
}

void Splitter::refuse_rest() {
  for (auto& piece : queue_) {
    piece.refused_before = true;
    doubt(piece);
  }
  queue_.clear();
}

/// The server took something: what it refused before that is tried again, or believed.
void Splitter::on_evidence() {
  server_takes_something_ = true;
  for (const auto& piece : conflicting_) refused_samples_ += points_of(piece);
  conflicting_.clear();
  for (auto& piece : doubtful_) {
    if (std::exchange(piece.refused_before, true)) {
      refused_samples_ += points_of(piece);
      if (accepted_any_) suspect(piece);
    } else {
      queue_.push_back(piece);
    }
  }
  doubtful_.clear();
}

bool Splitter::wants_probe() const {
  if (queue_.empty()) return !done();
  return (refusals_ > 0 || !conflicting_.empty()) && !server_takes_something_;
}

void Splitter::probe_accepted() {
  on_evidence();
}

void Splitter::probe_refused() {
  server_takes_something_ = false;
  refusals_ = 0;
  if (!accepted_any_ && refused_samples_ == 0) return start();
  for (auto* const pieces : {&doubtful_, &conflicting_}) {
    queue_.insert(queue_.begin(), pieces->begin(), pieces->end());
    pieces->clear();
  }
  for (auto& piece : queue_) piece.refused_before = false;
}

}  // namespace msp::delivery
