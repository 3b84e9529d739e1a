#include "agent/queue/memory.h"

#include <algorithm>
#include <utility>

namespace msp {

void MemoryQueue::append(Entry entry, std::int64_t now_ns) {
  bytes_ += entry.bytes();
  const auto stream = entry.stream_name();
  std::erase_if(newest_,
                [&](const Waiting& newest) { return newest.entry.stream_name() == stream; });
  newest_.push_back({entry, now_ns});
  waiting_.push_back({std::move(entry), now_ns});
}

void MemoryQueue::drop_front() {
  bytes_ -= waiting_.front().entry.bytes();
  waiting_.pop_front();
}

const MemoryQueue::Waiting* MemoryQueue::find(std::uint64_t sequence) const {
  const auto found = std::lower_bound(
      waiting_.begin(), waiting_.end(), sequence,
      [](const Waiting& waiting, std::uint64_t s) { return waiting.entry.last_sequence < s; });
  return found != waiting_.end() ? &*found : nullptr;
}

}  // namespace msp
