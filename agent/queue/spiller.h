// The half of the queue that writes to the disk: takes what waits long from memory to segments,
// applies the limits, removes what all consumers are done with, and saves their offsets. Its thread
// may hang in any call without holding up a producer or a consumer: no lock is held across one.
//
// It finds out that the folder went away or that another one is mounted there, and that a disk works
// again. It writes only into a folder that this process has locked.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/stop_token.h"
#include "agent/queue/queue.h"

namespace msp::queue {

class Spiller {
 public:
  /// `queue` outlives it. One for a queue.
  explicit Spiller(Queue& queue);
  ~Spiller();

  /// The thread's work: rounds as they are due. Returns after a stop was requested, when what waits
  /// was taken to the disk, as far as it works.
  void run(const StopToken& stop);

  /// One round now, with all that waits if `everything`, otherwise with what has waited long. Returns
  /// when the next one is due (monotonic clock; kNeverNs: when it is woken). One thread.
  std::int64_t round(bool everything = false);

  /// There is something to do. Any thread.
  void wake();

 private:
  bool has_folder();
  void switch_folder(const std::shared_ptr<Folder>& folder);
  void look_at_unread();
  void say_nothing_waits_in_left();
  bool spill(bool everything);
  std::vector<Entry> joined(const std::vector<Entry>& entries);
  Result<void> store(const std::vector<Entry>& due);
  bool make_room();
  void apply_limits();
  bool clock_is_trusted();
  void drop_segment(DropReason reason, const Segments::Segment& segment);
  void tell_drops(DropReason reason, std::uint64_t samples);
  void save_offsets_now(bool disk_works);
  void on_failure(const Error& error);
  void on_works();
  void tell(Notice::Severity severity, std::string text) const;
  std::int64_t next_round_ns() const;

  Queue& queue_;
  Segments& segments_;
  const Queue::Options& options_;
  Clock& clock_;

  Offsets saved_;                              // what the file holds
  std::vector<std::shared_ptr<Folder>> left_;  // another one is at their path now
  bool has_failed_ = false;
  bool lacks_space_ = false;
  bool told_other_folder_ = false;
  std::int64_t drop_told_ns_ = 0;
  std::int64_t wall_ahead_ns_ = 0;    // wall time minus boot time
  std::int64_t trusted_from_ns_ = 0;  // the wall clock made no step since then; boot time
  std::int64_t last_round_ns_ = 0;

  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_woken_ = true;  // the first round is due at once
};

}  // namespace msp::queue
