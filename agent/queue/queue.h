// Where samples wait until every endpoint has them.
//
//   append -> head (memory, and a crash-safe copy in a memory-backed file) -> store (segments on
//   disk) -> peek, ack
//
// A scrape that is delivered soon never leaves the head: no disk I/O on a good day. What still
// waits after BufferTiming::spill_after_ns goes to the store and is synced, by the disk thread:
// append() never waits for a disk, and a disk that hangs, is full or is gone costs nothing until
// the head is full too (kHeadBytesMax).
//
// What survives: kill -9, everything appended, where the head has its file; a restart or an orderly
// reboot, everything; a power cut, everything but what was appended within spill_after_ns and one
// round of the disk thread.
//
// A scrape leaves when all endpoints have acknowledged it, or when a limit takes it: then the
// oldest goes first, counted for each endpoint that had not got it.
//
// That append() never waits for a disk is true as long as head_folder is not on one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/metrics/sample.h"
#include "agent/queue/acknowledged.h"
#include "agent/queue/batch.h"
#include "agent/queue/cursors.h"
#include "agent/queue/file_system.h"
#include "agent/queue/memory.h"
#include "agent/queue/store.h"
#include "agent/queue/store_reader.h"

namespace msp {

/// Why samples were dropped before an endpoint had them.
enum class DropReason : std::uint8_t { max_size, max_age, free_space, memory, damage, too_large };
inline constexpr std::size_t kDropReasons = 6;
std::string_view drop_reason_name(DropReason reason);

struct BufferLimits {
  std::uint64_t bytes_max = 256 << 20;                       // of the store
  std::chrono::milliseconds age_max = std::chrono::days(7);  // of a segment's newest scrape
  // The store leaves at least as much of its file system free: this, or 5 % of it where that is
  // less.
  std::uint64_t free_bytes_min = 512 << 20;
};

struct BufferTiming {
  std::int64_t spill_after_ns = 5'000'000'000;  // how long a scrape waits in the head only
  std::int64_t rest_ns = 2'000'000'000;         // between two rounds of the disk thread
  std::int64_t retry_ns = 10'000'000'000;       // until what failed on a disk is tried again
};

/// Any thread, unless said otherwise. Endpoints are numbered from 0.
class Buffer {
 public:
  struct Options {
    std::vector<std::string> endpoints;  // their names: whose cursor is whose after a restart
    std::string folder;                  // segments, cursors, lock
    std::string head_folder;             // of the head's file; best on a memory-backed file system
    BufferLimits limits;
    BufferTiming timing;
    FileSystem* files = &real_file_system();
  };
  struct EndpointState {
    std::size_t samples = 0;                   // waiting
    std::int64_t oldest_timestamp_ms = 0;      // of the waiting ones; 0: none
    std::uint64_t dropped[kDropReasons] = {};  // samples, since start
  };
  struct State {
    std::uint64_t bytes = 0;  // in segments
    std::size_t segments = 0;
    std::uint64_t damaged_records = 0;
    bool memory_only = false;  // the disk cannot be used
    bool free_space_guard = false;
  };

  static constexpr std::size_t kHeadBytesMax = 4 * 1024 * 1024;

  /// Opens what an earlier process left. The only error is another process that uses the same
  /// folders: contents that cannot be read are set aside and counted, a disk that cannot be used is
  /// tried again.
  static Result<std::unique_ptr<Buffer>> open(Options options);
  ~Buffer();

  /// One thread. Never blocks for a disk, never fails.
  void append(Scrape scrape);

  /// The number of the endpoint of that name, which gets every scrape from now on, and, where it is
  /// new, all that is kept.
  std::size_t add_endpoint(const std::string& name);

  /// The endpoint gets no scrape from now on. What it has not acknowledged stays until it has.
  void end_endpoint(std::size_t endpoint);

  /// Nobody uses its number any more: another endpoint may get it.
  void remove_endpoint(std::size_t endpoint);

  /// Fills `batch` with the oldest scrapes that `endpoint` has not acknowledged, beginning at the
  /// sequence `from`: at least one, then as many as fit into samples_max. It ends early where the
  /// wall clock went back, for the samples of a series must go in time order. False, and `batch`
  /// empty, when nothing is waiting there. One thread per endpoint; it may read a disk.
  bool peek(std::size_t endpoint, std::size_t samples_max, Batch& batch, std::uint64_t from = 0);

  /// The newest scrape, from memory. False, and `batch` empty, when `endpoint` has acknowledged it,
  /// or an earlier process has put it on disk.
  bool peek_newest(std::size_t endpoint, Batch& batch);

  /// The endpoint is done with these scrapes and no others: delivered, or refused for good. What it
  /// has acknowledged before, or the buffer has dropped meanwhile, does not matter. In any order;
  /// but scrapes that make more than Acknowledged::kRangesMax holes in what waits are handed out
  /// again by peek().
  void ack(std::size_t endpoint, const Batch& batch);

  /// Returns when something is waiting for `endpoint`, or its waits are to end. False: nothing is,
  /// and nothing will be, for it has been ended.
  bool wait(std::size_t endpoint);

  /// Returns true as soon as peek_newest() has something for `endpoint`; false at `until_ns`
  /// (monotonic clock), or when its waits are to end.
  bool wait_newest(std::size_t endpoint, std::int64_t until_ns);

  /// Returns at `until_ns` (monotonic clock), or when its waits are to end: to wait out a back-off.
  void pause(std::size_t endpoint, std::int64_t until_ns);

  /// Ends the waits of `endpoint` from now on: another thread is to take over; or no longer.
  void interrupt(std::size_t endpoint, bool is_interrupted);

  /// The disk thread's work: spills, syncs, applies the limits. Returns after close().
  void run_disk();

  /// One round of that work, with what was appended until then (monotonic clock): for who does
  /// without run_disk().
  void disk_round(std::int64_t appended_until_ns);

  /// Ends all waits from now on: the agent is stopping.
  void stop();

  /// After the last append and ack: what waits goes to disk, and run_disk() returns. False where it
  /// has not by `deadline_ns` (monotonic clock): the disk hangs.
  bool close(std::int64_t deadline_ns);

  EndpointState state(std::size_t endpoint) const;
  State state() const;

 private:
  using ScrapePtr = std::shared_ptr<const Scrape>;
  struct Endpoint {
    std::string name;  // empty: free for another one
    bool ended = false;
    bool interrupted = false;
    Acknowledged acknowledged;            // or dropped, or lost: what will not be handed out
    std::uint64_t acknowledged_last = 0;  // in this process, whether or not it is remembered
    EndpointState state;
    std::deque<ScrapeDecoder::Decoded> read;  // from the store, not acknowledged, oldest first
    StoreReader reader;                       // of the endpoint's thread, without the lock
    std::uint64_t damaged_told = 0;           // of reader.damaged()
  };

  explicit Buffer(Options options);
  Result<void> lock_folder();
  void open_store();
  void recover();
  void count_holes();
  void place_cursors(bool anything_kept, std::uint64_t oldest, std::uint64_t end);
  bool has_backlog() const;
  std::uint64_t slowest() const;
  bool is_done(std::uint64_t sequence) const;
  bool has_fresh(const Endpoint& endpoint) const;
  std::size_t samples_in_head(const Acknowledged& acknowledged, std::uint64_t from) const;
  ScrapePtr find(Endpoint& endpoint, std::uint64_t sequence, std::unique_lock<std::mutex>& lock);
  void read_from_store(Endpoint& endpoint, std::uint64_t sequence, std::uint64_t stored_until,
                       std::unique_lock<std::mutex>& lock);
  void drop(Endpoint& endpoint, Acknowledged::Range range, std::uint64_t samples,
            DropReason reason);
  void forget(Endpoint& endpoint, Acknowledged::Range range, std::uint64_t samples);
  void drop_front_of_head();
  void trim_head(std::uint64_t stored_until);

  // The disk thread's.
  std::int64_t next_round_ns(std::int64_t last_round_ns) const;
  void open_store_again();
  std::vector<Endpoint*> endpoints();
  void recount();
  template <typename Count>
  std::unique_lock<std::mutex> count_without_lock(Endpoint& endpoint, std::uint64_t& samples,
                                                  Count count);
  bool spill(std::int64_t appended_until_ns);
  Result<void> store_scrapes(const std::vector<Head::Waiting>& due, std::uint64_t& stored_until);
  void drop_too_large(const Head::Waiting& waiting);
  bool make_room();
  void apply_limits();
  void drop_oldest_segment(DropReason reason);
  void tell_drops(DropReason reason, std::uint64_t samples);
  void save_progress(bool disk_works);
  void on_disk_works();
  void on_disk_failure(const Error& error);

  const Options options_;
  std::unique_ptr<File> lock_file_;
  Store store_;

  mutable std::mutex mutex_;  // all below
  std::condition_variable changed_;
  std::condition_variable disk_wanted_;
  bool stopping_ = false;
  bool closing_ = false;
  bool closed_ = false;
  bool spill_wanted_ = false;  // something waits that does not go by itself
  bool progress_ = false;      // cursors moved while there was something in the store
  bool recount_wanted_ = false;
  Head head_;
  std::uint64_t next_sequence_ = 1;
  std::deque<Endpoint> endpoints_;  // addresses stay
  bool memory_only_ = false;
  bool free_space_guard_ = false;
  std::int64_t drop_told_ns_ = 0;
  Cursors saved_;            // what the cursor file holds
  std::uint64_t holes_ = 0;  // between segments, that somebody had not acknowledged
};

}  // namespace msp
