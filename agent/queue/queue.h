// Where samples wait until every endpoint has them.
//
//   append -> memory (and the write-ahead log) -> spiller -> segments on disk -> read, ack
//
// What is delivered soon never leaves the memory: no disk I/O on a good day. What waits longer goes
// to segments and is synced, by the spiller: append() never waits for a disk, and a disk that hangs,
// is full or is gone costs nothing until the memory is full too (kMemoryBytesMax).
//
// What survives: kill -9, everything appended, where the write-ahead log works; a restart or an
// orderly reboot, everything; a power cut, everything but what was appended within
// QueueTiming::spill_after_ns and one round of the spiller.
//
// An entry leaves when all consumers are done with it, or when a limit takes it: then the oldest
// goes first, counted for each consumer that had not got it.
//
// The queue decides no order, never sleeps and writes no log: what people are to know is a Notice.
// Wall-clock time is not used but for the age of what an earlier process left.
//
// That append() never waits for a disk is true as long as wal_folder is not on one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/base/clock.h"
#include "agent/queue/batch.h"
#include "agent/queue/consumer.h"
#include "agent/queue/file_system.h"
#include "agent/queue/limits.h"
#include "agent/queue/memory.h"
#include "agent/queue/notice.h"
#include "agent/queue/offsets_file.h"
#include "agent/queue/segments.h"
#include "agent/queue/wal_writer.h"

namespace msp::queue {

/// Which entries a consumer wants next.
struct Wanted {
  enum class Lane {
    live,     // the newest entry of each stream, and all that were appended since live_since_ns
    backlog,  // the others
    all,      // both, in order
  };
  Lane lane = Lane::all;
  std::size_t samples_max = 0;            // one entry at least, then as many as fit
  std::int64_t live_since_ns = kNeverNs;  // monotonic clock
};

/// Any thread, unless said otherwise. Consumers are numbered from 0.
class Queue {
 public:
  struct Options {
    std::string folder;      // segments, offsets
    std::string wal_folder;  // of the write-ahead log; best on a memory-backed file system
    QueueLimits limits;
    QueueTiming timing;
    FileSystem* files = &real_file_system();
    Clock* clock = &real_clock();
    NoticeSink notify = [](Notice) {};
  };
  struct State {
    std::uint64_t bytes = 0;  // in segments
    std::size_t segments = 0;
    std::uint64_t damaged_records = 0;
    bool memory_only = false;  // the disk cannot be used
    bool free_space_guard = false;
  };

  /// An open folder that this process has locked, or why there is none.
  struct OpenedFolder {
    Result<std::shared_ptr<Folder>> folder;
    bool is_in_use = false;  // by another process
  };

  static constexpr std::size_t kMemoryBytesMax = 4 * 1024 * 1024;

  /// Opens what an earlier process left. The only error is another process that uses the same
  /// folder: contents that cannot be read are set aside and counted, a disk that cannot be used is
  /// tried again.
  static Result<std::unique_ptr<Queue>> open(Options options);
  ~Queue();

  // Producers. When it returns, a crash of the process can no longer take it, where the write-ahead
  // log works.

  void append(metrics::Scrape scrape);
  /// False: the log does not have it, and a crash would take it.
  bool append(Request request);

  /// Whether a relay may take more.
  enum class Room {
    enough,
    tight,  // half of the memory is full: nobody may have more than their share
    full,   // of the disk or the memory, until an endpoint takes something
    none,   // the log cannot be written, or the disk cannot be used and the memory is full
  };
  Room room();
  /// What waits in memory is much, and a relay's: it goes to disk without delay.
  bool is_under_pressure() const;

  // Consumers.

  /// The number of the consumer of that name, which goes on where it was before. A new one gets
  /// what is appended from now on, but all that is kept where nothing is known of any consumer.
  /// `on_append` is called after each append, in the producer's thread.
  std::size_t add_consumer(const std::string& name, std::function<void()> on_append = {});

  /// The consumer gets no entry that is appended from now on. What it is not done with stays until
  /// it is.
  void end_consumer(std::size_t consumer);

  /// Nobody uses its number any more: another consumer may get it.
  void remove_consumer(std::size_t consumer);

  /// Fills `batch` with entries that `consumer` is not done with, oldest first, and that are in no
  /// other of its batches. It ends early where the time of a stream went back, for the samples of a
  /// series must go in time order. False, and `batch` empty, when nothing of that lane waits, or
  /// what waits cannot be read now. One thread per consumer; all but the live lane may read a disk.
  bool read(std::size_t consumer, const Wanted& wanted, Batch& batch);

  /// The consumer is done with these entries and no others: delivered, or refused for good. In any
  /// order; but entries that would make more than Offset::kRangesMax holes are handed out again.
  void ack(std::size_t consumer, Batch& batch);

  /// The entries of `batch` may be handed out again. Empties it.
  void release(std::size_t consumer, Batch& batch);

  /// Something failed, so that what waits now will not go soon: it is kept on disk without delay.
  void expect_backlog(std::size_t consumer);

  /// Whether there are entries that the consumer is not done with.
  bool has_waiting(std::size_t consumer) const;

  ConsumerState state(std::size_t consumer) const;
  State state() const;

  // The spiller's: the other half of the queue, in its own thread (spiller.h).

  Segments& segments() { return segments_; }
  const Options& options() const { return options_; }
  /// Opens and locks options().folder.
  OpenedFolder open_folder() const;
  /// Called without a lock when the spiller has something to do.
  void set_wake_spiller(std::function<void()> wake);
  /// What waits in memory and was appended until then, at most `count` entries, oldest first.
  std::vector<Entry> waiting_until(std::int64_t appended_until_ns, std::size_t count) const;
  /// When the spiller is due for what waits; kNeverNs: not before something is appended.
  std::int64_t spill_due_ns() const;
  /// Puts `joined` in memory in the place of the requests that it is made of. False, and nothing has
  /// changed, where they are not all there, or a consumer has some of them and not the others: the
  /// samples of a joined request are counted only together.
  bool join(std::span<const Entry> parts, const Entry& joined);
  /// Entries were synced into segments, or consumers are done with some: lets go of them.
  void forget_stored();
  /// All consumers are done with these sequences.
  bool is_done(std::uint64_t first, std::uint64_t last) const;
  /// Counts the samples of a segment as dropped for each consumer that is not done with them, and
  /// marks them as done. How many that are for the consumer that lost most of them: without those
  /// that a request under way may still deliver.
  std::uint64_t drop_segment(const Segments::Segment& segment, DropReason reason);
  /// The same of an entry in memory.
  std::uint64_t drop(const Entry& entry, DropReason reason);
  /// Segments that turned up late: their sequences are handed out, but for what `offsets` says.
  void take_in(const std::vector<Segments::Segment>& late, const Offsets& offsets);
  /// Counts anew what waits for each consumer.
  void recount();
  /// As they are to be saved.
  Offsets offsets() const;
  void add_damage(std::uint64_t regions);
  void set_memory_only(bool memory_only);
  void set_free_space_guard(bool on);
  /// Whether the sequences may be those of a segment that turned up late: this process has given
  /// out none of them, and gives out none from now on.
  bool claim(std::uint64_t first, std::uint64_t last);

 private:
  explicit Queue(Options options);
  std::uint64_t take_over(const std::shared_ptr<Folder>& folder);
  void recover(std::uint64_t end);
  bool append(Entry entry, std::uint64_t samples);
  bool copy_to_wal(const Entry& entry);
  bool is_under_pressure_locked() const;
  void adopt(Wal::Content content);
  void skip_nothing(Consumer& consumer) const;
  std::uint64_t oldest_known() const;
  std::int64_t oldest_timestamp_ms(const Consumer& consumer) const;
  std::uint64_t count_lost_at_start(Consumer& consumer);
  bool is_live(const Consumer& consumer, const MemoryQueue::Waiting& waiting,
               const Wanted& wanted) const;
  bool read_live(Consumer& consumer, const Wanted& wanted, Batch& batch) const;
  bool read_in_order(Consumer& consumer, const Wanted& wanted, Batch& batch,
                     std::unique_lock<std::mutex>& lock, std::vector<Notice>& notices);
  std::optional<Entry> read_segment(Consumer& consumer, const Segments::Segment& segment,
                                    std::uint64_t& sequence, std::unique_lock<std::mutex>& lock,
                                    std::vector<Notice>& notices);
  std::vector<Consumer*> consumers();
  template <typename Count>
  std::unique_lock<std::mutex> count_without_lock(Consumer& consumer, std::uint64_t& samples,
                                                  Count count);
  std::vector<Entry> trim_memory();
  bool is_done_locked(std::uint64_t first, std::uint64_t last) const;
  void notify_of_wal(std::unique_lock<std::mutex>& wal_lock);
  void notify_all(const std::vector<Notice>& notices) const;

  const Options options_;
  Clock& clock_;
  Segments segments_;
  std::function<void()> wake_spiller_ = [] {};

  std::mutex wal_mutex_;  // before mutex_: producers take it for one append, then consumers
  WalWriter wal_;

  mutable std::mutex mutex_;  // all below
  MemoryQueue memory_;
  Offset nothing_;                  // numbers given to nothing, as far as it is known
  std::uint64_t known_from_ = 1;    // the oldest entry that was found at the start
  Offsets logged_;                  // what the log said at the start
  std::uint64_t first_issued_ = 1;  // by this process
  std::uint64_t next_sequence_ = 1;
  std::deque<Consumer> consumers_;  // addresses stay
  Offsets saved_;                   // of the earlier process
  bool knows_consumers_ = false;    // saved_ is the whole truth
  bool spill_soon_ = false;         // what waits does not go by itself
  State state_;
};

}  // namespace msp::queue
