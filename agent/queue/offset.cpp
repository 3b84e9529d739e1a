#include "agent/queue/offset.h"

#include <algorithm>

namespace msp::queue {
namespace {

using Range = Offset::Range;

/// The first range that ends at `sequence` or later.
template <typename Ranges>
auto find(Ranges& ranges, std::uint64_t sequence) {
  return std::lower_bound(ranges.begin(), ranges.end(), sequence,
                          [](const Range& range, std::uint64_t s) { return range.last < s; });
}

}  // namespace

std::uint64_t Offset::next(std::uint64_t from) const {
  if (from <= next_) return next_;
  const auto range = find(ranges_, from);
  return range != ranges_.end() && range->first <= from ? range->last + 1 : from;
}

std::uint64_t Offset::count(std::uint64_t first, std::uint64_t last) const {
  std::uint64_t count = 0;
  if (first < next_) count = std::min(next_, last + 1) - first;
  for (auto range = find(ranges_, first); range != ranges_.end() && range->first <= last; ++range) {
    count += std::min(range->last, last) - std::max(range->first, first) + 1;
  }
  return count;
}

bool Offset::has_room(std::uint64_t sequence) const {
  if (ranges_.size() < kRangesMax || sequence <= next_) return true;
  const auto range = find(ranges_, sequence - 1);
  return range != ranges_.end() && range->first <= sequence + 1;
}

std::uint64_t Offset::add(std::uint64_t first, std::uint64_t last) {
  if (last < first || last < next_) return 0;
  const auto added = last - first + 1 - count(first, last);
  first = std::max(first, next_);
  const auto begin = find(ranges_, first - (first > 0 ? 1 : 0));
  auto end = begin;
  for (; end != ranges_.end() && end->first <= last + 1; ++end) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
  }
  const auto at = ranges_.erase(begin, end);
  if (first <= next_) {
    next_ = last + 1;
  } else {
    ranges_.insert(at, {first, last});
  }
  return added;
}

void Offset::add_from(const Offset& other, std::uint64_t from) {
  if (from < other.next_) add(from, other.next_ - 1);
  for (const auto& range : other.ranges_) add(std::max(range.first, from), range.last);
}

void Offset::reopen(std::uint64_t first, std::uint64_t last) {
  if (last < first) return;
  Offset result(std::min(next_, first));
  const auto add_outside = [&](std::uint64_t from, std::uint64_t to) {
    if (from < first) result.add(from, std::min(to, first - 1));
    if (to > last) result.add(std::max(from, last + 1), to);
  };
  if (next_ > 0) add_outside(0, next_ - 1);
  for (const auto& range : ranges_) add_outside(range.first, range.last);
  *this = std::move(result);
}

void Offset::skip_to(std::uint64_t next) {
  if (next > next_) add(next_, next - 1);
}

void Offset::cut(std::uint64_t end) {
  next_ = std::min(next_, end);
  while (!ranges_.empty() && ranges_.back().first >= end) ranges_.pop_back();
  if (!ranges_.empty()) ranges_.back().last = std::min(ranges_.back().last, end - 1);
}

}  // namespace msp::queue
