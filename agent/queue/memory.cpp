#include "agent/queue/memory.h"

#include <algorithm>
#include <utility>

namespace msp::queue {

void MemoryQueue::append(Entry entry, std::int64_t now_ns) {
  count(entry, 1);
  const auto stream = entry.stream_name();
  std::erase_if(newest_,
                [&](const Waiting& newest) { return newest.entry.stream_name() == stream; });
  if (!entry.is_backlog()) newest_.push_back({entry, now_ns});
  waiting_.push_back({std::move(entry), now_ns});
}

void MemoryQueue::drop_front() {
  count(waiting_.front().entry, -1);
  waiting_.pop_front();
}

bool MemoryQueue::join(std::span<const Entry> parts, const Entry& joined) {
  const auto begin = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& waiting) {
    return waiting.entry.first_sequence == joined.first_sequence;
  });
  if (static_cast<std::size_t>(waiting_.end() - begin) < parts.size()) return false;
  const auto end = begin + static_cast<std::ptrdiff_t>(parts.size());
  const bool are_there = std::equal(
      begin, end, parts.begin(),
      [](const Waiting& a, const Entry& b) { return a.entry.last_sequence == b.last_sequence; });
  if (!are_there) return false;
  for (auto part = begin; part != end; ++part) count(part->entry, -1);
  count(joined, 1);
  for (auto& newest : newest_) {
    if (newest.entry.last_sequence == joined.last_sequence) newest.entry = joined;
  }
  // The oldest of them decides when it is due.
  begin->entry = joined;
  waiting_.erase(begin + 1, end);
  return true;
}

const MemoryQueue::Waiting* MemoryQueue::find(std::uint64_t sequence) const {
  const auto found = std::lower_bound(
      waiting_.begin(), waiting_.end(), sequence,
      [](const Waiting& waiting, std::uint64_t s) { return waiting.entry.last_sequence < s; });
  return found != waiting_.end() ? &*found : nullptr;
}

void MemoryQueue::count(const Entry& entry, int sign) {
  bytes_ += sign * entry.bytes();
  if (entry.request != nullptr) requests_ += sign;
}

}  // namespace msp::queue
