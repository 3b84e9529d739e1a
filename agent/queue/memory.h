// The entries that are in memory: those that some consumer waits for and that are not on disk yet,
// and the newest one of each stream, for the live lane, until all consumers are done with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "agent/queue/entry.h"

namespace msp::queue {

/// One thread at a time.
class MemoryQueue {
 public:
  struct Waiting {
    Entry entry;
    std::int64_t appended_ns = 0;  // monotonic
  };

  /// Its sequences are higher than all before.
  void append(Entry entry, std::int64_t now_ns);

  void drop_front();

  /// Replaces `parts`, which follow one another, by one entry. False: they are not all in waiting().
  bool join(std::span<const Entry> parts, const Entry& joined);

  /// Lets go of entries that are safe on disk or that nobody waits for. Both predicates are asked
  /// for an entry.
  template <typename IsStored, typename IsDone>
  void trim(IsStored is_stored, IsDone is_done) {
    std::erase_if(waiting_, [&](const Waiting& waiting) {
      if (!is_done(waiting.entry) && !is_stored(waiting.entry)) return false;
      count(waiting.entry, -1);
      return true;
    });
    std::erase_if(newest_, [&](const Waiting& newest) { return is_done(newest.entry); });
  }

  bool empty() const { return waiting_.empty(); }
  /// Not on disk yet, oldest first.
  const std::deque<Waiting>& waiting() const { return waiting_; }
  /// One of each stream but a backlog's, oldest first; those that are done with are not in it.
  const std::vector<Waiting>& newest() const { return newest_; }
  /// The first entry of waiting() that ends at `sequence` or later; null: none.
  const Waiting* find(std::uint64_t sequence) const;

  /// Of waiting(); labels, which entries share, do not count.
  std::size_t bytes() const { return bytes_; }
  /// Whether one of waiting() is of a relay.
  bool has_requests() const { return requests_ > 0; }

 private:
  /// `entry` comes to waiting(), 1, or leaves it, -1.
  void count(const Entry& entry, int sign);

  std::deque<Waiting> waiting_;
  std::vector<Waiting> newest_;
  std::size_t bytes_ = 0;
  std::size_t requests_ = 0;
};

}  // namespace msp::queue
