#include "agent/delivery/splitter.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <utility>

#include "agent/base/text.h"
#include "agent/delivery/encode/encode.h"
#include "agent/queue/compression.h"
#include "agent/queue/wire_reader.h"

namespace msp::delivery {
namespace {

/// node_load1{customer_id="alpha"}
struct SeriesText {
  void add(std::string_view name, std::string_view value) {
    if (name == metrics::kMetricName) {
      metric = value;
    } else {
      labels += cat(labels.empty() ? "" : ",", name, "=\"", value, "\"");
    }
  }
  std::string_view metric;
  std::string labels;
};

std::size_t hash_of_labels(std::string_view labels) {
  return std::hash<std::string_view>()(labels);
}

bool has(const std::vector<std::size_t>& hashes, std::size_t hash) {
  return std::ranges::find(hashes, hash) != hashes.end();
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
  refused_rows_ = {};
  refused_samples_ = 0;
  refused_series_.clear();
}

void Splitter::queue_all() {
  queue_.clear();
  set_aside_.clear();
  const auto rows = batch_.rows();
  std::size_t begin = 0;
  std::size_t row = 0;
  for (; row < rows.size() && rows[row].request == nullptr && !suspects_.empty(); ++row) {
    const Piece piece{.rows_begin = row, .rows_end = row + 1};
    if (!is_suspect(hash_of(piece))) continue;
    if (begin < row) put_last({.rows_begin = begin, .rows_end = row});
    begin = row + 1;
    put_last(piece);
  }
  // Of what a relay received the suspects among its series, and what else there is; unless that is
  // more than one request may have: then it is not taken apart before it is refused again.
  Piece requests{.rows_begin = row, .rows_end = rows.size()};
  bool has_others = false;
  series_.clear();
  if (!suspects_.empty() && size_of(requests) <= Encoder::kRawBytesMax) look_into(requests);
  for (const auto& one : series_) {
    const auto hash = hash_of_labels(one.labels);
    const bool is_one = is_suspect(hash);
    has_others = has_others || !is_one;
    if (is_one && !has(set_aside_, hash)) set_aside_.push_back(hash);
  }
  const auto end = set_aside_.empty() ? rows.size() : row;
  if (begin < end) put_last({.rows_begin = begin, .rows_end = end});
  if (set_aside_.empty()) return;
  requests.without_suspects = true;
  if (has_others) put_last(requests);
  requests.without_suspects = false;
  requests.mask = SIZE_MAX;
  for (const auto hash : set_aside_) {
    requests.hash = hash;
    put_last(requests);
  }
}

bool Splitter::is_suspect(std::size_t hash) const {
  return has(suspects_, hash);
}

void Splitter::suspect(const Piece& piece) {
  const auto hash = hash_of(piece);
  if (is_suspect(hash)) return;
  if (suspects_.size() == kSuspectsMax) suspects_.erase(suspects_.begin());
  suspects_.push_back(hash);
}

/// Of a request those of which the piece has nothing else.
void Splitter::clear_suspects(const Piece& piece) {
  if (suspects_.empty()) return;
  if (piece.mask == SIZE_MAX) std::erase(suspects_, piece.hash);
  for (auto row = piece.rows_begin; row < piece.rows_end; ++row) {
    if (batch_.rows()[row].request != nullptr) return;
    std::erase(suspects_, hash_of({.rows_begin = row, .rows_end = row + 1}));
  }
}

/// What the series is known by from batch to batch, of which the piece has nothing else.
std::size_t Splitter::hash_of(const Piece& piece) {
  if (const auto& row = batch_.rows()[piece.rows_begin]; row.series != nullptr) {
    return hash_of_labels(row.series->labels.flat());
  }
  look_into(piece);
  return series_.empty() ? 0 : hash_of_labels(series_.front().labels);
}

/// The piece's first series.
std::string Splitter::text_of(const Piece& piece) {
  SeriesText text;
  if (const auto& row = batch_.rows()[piece.rows_begin]; row.series != nullptr) {
    for (const auto label : row.series->labels) text.add(label.name, label.value);
  } else {
    look_into(piece);
    queue::WireReader labels(series_.empty() ? std::string_view() : series_.front().labels);
    while (labels.next()) {
      std::string_view pair[2];
      queue::WireReader label(labels.bytes());
      while (label.next()) pair[label.field() != 1] = label.bytes();
      text.add(pair[0], pair[1]);
    }
  }
  return cat(text.metric, "{", text.labels, "}");
}

bool Splitter::has_requests(const Piece& piece) {
  return batch_.rows()[piece.rows_end - 1].request != nullptr;  // they come last
}

/// Of rows that are requests: how many bytes their contents have.
std::size_t Splitter::size_of(const Piece& piece) {
  const auto rows = batch_.rows().subspan(piece.rows_begin, piece.rows_end - piece.rows_begin);
  std::size_t size = 0;
  for (const auto& row : rows) size += queue::content_size_of(row.request->message).value_or(0);
  return size;
}

/// Of rows that are requests: series_ is what the piece has of them. Returns how many samples are in
/// those that cannot be read.
std::uint64_t Splitter::look_into(const Piece& piece) {
  const auto rows = batch_.rows().subspan(piece.rows_begin, piece.rows_end - piece.rows_begin);
  content_.resize(size_of(piece));
  series_.clear();
  auto* at = content_.data();
  std::uint64_t unreadable = 0;
  for (const auto& row : rows) {
    const auto stated = queue::content_size_of(row.request->message).value_or(0);
    if (!queue::decompress_frames(row.request->message, at, stated)) {
      unreadable += row.request->samples;
      continue;
    }
    queue::append_series({at, stated}, series_);
    at += stated;
  }
  std::erase_if(series_, [&](const queue::RequestSeries& one) {
    const auto hash = hash_of_labels(one.labels);
    return (hash & piece.mask) != piece.hash || (piece.without_suspects && has(set_aside_, hash));
  });
  if (piece.points_end != 0) {
    const auto first = series_.begin();
    series_.erase(first + static_cast<std::ptrdiff_t>(piece.points_end), series_.end());
    series_.erase(first, first + static_cast<std::ptrdiff_t>(piece.points_begin));
  }
  return unreadable;
}

Splitter::Front Splitter::front() {
  const auto& piece = queue_.back();
  if (!piece.is_part()) return {batch_, piece.rows_begin, piece.rows_end};
  const auto& row = batch_.rows()[piece.rows_begin];
  points_.clear();
  if (row.request != nullptr) {
    look_into(piece);
    auto part = *row.request;
    part.samples = 0;
    std::string content;
    for (const auto& one : series_) {
      content += one.field;
      part.samples += one.samples;
    }
    if (!queue::compress_frame(content, part.message, queue::Frame::quick)) throw std::bad_alloc();
    points_.add({1, 1, nullptr, std::make_shared<const queue::Request>(std::move(part))});
    return {points_, 0, 1};
  }
  // The series belongs to the batch, which outlives these points.
  const auto set = std::make_shared<const metrics::SeriesSet>(
      1, metrics::SeriesPtr(metrics::SeriesPtr(), row.series));
  for (auto i = piece.points_begin; i < piece.points_end; ++i) {
    const auto& point = batch_.points(row)[i];
    points_.add(i, std::make_shared<const metrics::Scrape>(
                       metrics::Scrape{point.timestamp_ms, set, {point.value}}));
  }
  return {points_, 0, 1};
}

/// The front up to `rows_end`, which is no longer in the queue.
Splitter::Piece Splitter::take(std::size_t rows_end) {
  auto& front = queue_.back();
  auto taken = front;
  if (!front.is_part() && rows_end < front.rows_end) {
    taken.rows_end = rows_end;
    front.rows_begin = rows_end;
  } else {
    queue_.pop_back();
  }
  return taken;
}

void Splitter::put_first(const Piece& piece) {
  queue_.push_back(piece);
}

void Splitter::put_last(const Piece& piece) {
  queue_.insert(queue_.begin(), piece);
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
  ++refusals_;
  const auto piece = take(rows_end);
  const std::pair rows(piece.rows_begin, piece.rows_end);
  if (std::exchange(refused_rows_, rows) != rows) refusals_of_rows_ = 0;
  ++refusals_of_rows_;
  divide(piece, has_requests(piece) && refusals_of_rows_ > kRefusalsMax);
}

/// Where the endpoint takes something, each half is nearer to what it takes: then it is no refusal.
void Splitter::row_too_large() {
  const auto rows_end = queue_.back().rows_begin + 1;
  accepted_any_ ? divide(take(rows_end), false) : refused(rows_end);
}

void Splitter::divide(const Piece& piece, bool is_too_much) {
  halved_ = true;
  if (is_too_much || !halve(piece)) doubt(piece);
}

/// False: it is a sample, or what cannot be divided.
bool Splitter::halve(const Piece& piece) {
  auto middle = piece.rows_begin + (piece.rows_end - piece.rows_begin) / 2;
  if (has_requests(piece)) {
    middle = piece.rows_begin;
    while (batch_.rows()[middle].request == nullptr) ++middle;
    if (middle == piece.rows_begin) return halve_requests(piece);
  } else if (middle == piece.rows_begin) {
    return halve_points(piece, batch_.rows()[middle].points_count);
  }
  auto half = piece;
  half.rows_end = middle;
  put_last(half);
  half.rows_begin = middle;
  half.rows_end = piece.rows_end;
  // What a relay received goes before what it received later, which may be the front still.
  has_requests(half) ? put_first(half) : put_last(half);
  return true;
}

bool Splitter::halve_requests(Piece piece) {
  const auto unreadable = look_into(piece);
  // They were in the piece, and are in none of the halves.
  const auto lost = piece.is_part() ? 0 : unreadable;
  std::size_t different = 0;  // bits
  const auto first = series_.empty() ? 0 : hash_of_labels(series_.front().labels);
  for (const auto& one : series_) different |= hash_of_labels(one.labels) ^ first;
  if (different == 0) {
    const auto places = piece.points_end != 0 ? piece.points_end : series_.size();
    const bool is_new = piece.mask != SIZE_MAX && places > 1;
    piece.mask = SIZE_MAX;
    piece.hash = first;
    if (is_new) {
      put_behind_others(piece);
    } else if (!halve_points(piece, places)) {
      return false;
    }
  } else {
    const auto bit = std::bit_floor(different);
    piece.mask = ~(bit - 1);
    piece.hash = (first & piece.mask) | bit;
    put_first(piece);
    piece.hash &= ~bit;
    put_first(piece);
  }
  refused_samples_ += lost;
  return true;
}

/// A series is divided when the others of its rows have been tried: it may have many samples.
void Splitter::put_behind_others(const Piece& piece) {
  auto at = queue_.end();
  while (at != queue_.begin() && std::prev(at)->is_part() &&
         std::prev(at)->rows_begin == piece.rows_begin &&
         std::prev(at)->rows_end == piece.rows_end) {
    --at;
  }
  queue_.insert(at, piece);
}

/// They go in time order, so the earlier ones first, down to the last.
bool Splitter::halve_points(Piece piece, std::size_t points) {
  if (piece.points_end == 0) piece.points_end = points;
  if (piece.points_end - piece.points_begin < 2) return false;
  auto first = piece;
  piece.points_begin += (piece.points_end - piece.points_begin) / 2;
  first.points_end = piece.points_begin;
  put_first(piece);
  put_first(first);
  return true;
}

std::size_t Splitter::points_of(const Piece& piece) {
  std::size_t points = 0;
  if (piece.is_part() && has_requests(piece)) {
    look_into(piece);
    for (const auto& one : series_) points += one.samples;
    return points;
  }
  if (piece.points_end != 0) return piece.points_end - piece.points_begin;
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
  refused_series_ = text_of(piece);
}

void Splitter::refuse_rest() {
  while (!queue_.empty()) {
    queue_.back().refused_before = true;
    doubt(queue_.back());
    queue_.pop_back();
  }
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
      put_last(piece);
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
    for (; !pieces->empty(); pieces->pop_back()) put_first(pieces->back());
  }
  for (auto& piece : queue_) piece.refused_before = false;
}

}  // namespace msp::delivery
