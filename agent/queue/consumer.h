// One consumer of the queue: an endpoint's place in it. Part of the queue (queue.h), which holds its
// lock around all of this but the reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/queue/batch.h"
#include "agent/queue/limits.h"
#include "agent/queue/offset.h"
#include "agent/queue/segment_reader.h"

namespace msp::queue {

struct ConsumerState {
  std::size_t samples = 0;                   // waiting
  std::int64_t oldest_timestamp_ms = 0;      // of the waiting ones; 0: none
  std::uint64_t dropped[kDropReasons] = {};  // samples, since start
};

/// An entry that is in a batch of the consumer. Where it is dropped meanwhile, the batch still has it:
/// it is lost only if that comes back undelivered.
struct Lease {
  std::uint64_t first;  // sequences
  std::uint64_t last;
  std::uint64_t samples;
  std::int64_t first_timestamp_ms;
  std::optional<DropReason> dropped = std::nullopt;
};

struct Consumer {
  std::string name;  // empty: free for another one
  std::function<void()> on_append;
  bool ended = false;
  bool is_new = false;  // gets nothing of an earlier process
  Offset done;          // or dropped, or lost: what will not be handed out
  ConsumerState state;
  std::deque<Lease> leased;  // the entries in its batches, which end in turn
  std::map<std::string, std::uint64_t, std::less<>> newest_done;  // by stream: the last sequence
                                                                  // acked, remembered or not
  std::deque<Entry> read;  // from segments, not done with, oldest first
  SegmentReader reader;    // of the consumer's thread, without the lock

  bool is_leased(const Entry& entry) const;
  /// Done with all of it.
  bool is_done(const Entry& entry) const {
    return done.next(entry.first_sequence) > entry.last_sequence;
  }
  /// It is no newer than one of its stream that the consumer has had: then it is of the backlog lane,
  /// for the samples of a series go in time order.
  bool has_had_newer(const Entry& entry) const;
  /// Will not get these sequences from now on; `samples` of them were waiting.
  void forget(std::uint64_t first, std::uint64_t last, std::uint64_t samples);
  /// The same, and it should have got them. What is leased waits until the lease ends, and is counted
  /// then if it comes back undelivered. Returns how many samples are counted now.
  std::uint64_t drop(std::uint64_t first, std::uint64_t last, std::uint64_t samples,
                     DropReason reason);
  /// The entry is no longer in a batch.
  void end_lease(const Entry& entry, bool is_delivered);
  /// Samples that wait in batches alone.
  std::uint64_t dropped_and_leased() const;
};

}  // namespace msp::queue
