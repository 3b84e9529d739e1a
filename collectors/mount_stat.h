// statvfs(2) for many mounts, once a tick, without ever being held up by one that does not answer:
// a dead NFS server blocks the call for as long as it is dead, and nothing can take it back.
//
// One worker thread, parked between ticks, asks all mounts in turn; a good tick costs one wake-up.
// When it makes no progress for kGrace, others go on with the rest. A mount that has not answered
// at the tick's deadline is left alone with the worker that is stuck in it and is not asked again
// until that call returns; then the worker joins the others, and the surplus ends.
//
// Promised: no call waits; a tick is over after one deadline at most, however many mounts hang; no
// mount has two threads stuck in it; no more than kStuckMax threads are stuck because of file
// systems of one type; the destructor waits for nobody. Not promised: that a mount was asked when it
// is reported as timed out (its type may be past kStuckMax).
#pragma once

#include <sys/statvfs.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/result.h"
#include "agent/base/wakeup.h"

namespace msp::collectors {

struct MountToAsk {
  std::string path;  // for statvfs
  std::uint64_t id =
      0;  // of the mount: what is mounted anew on the path of a stuck one is not that one
  std::string fs_type;

  friend bool operator==(const MountToAsk&, const MountToAsk&) = default;
};

struct MountAnswer {
  bool timed_out = false;  // then nothing else is set
  int error = 0;           // errno of statvfs, 0 when `stat` is set
  struct statvfs stat {};
};

/// One thread at a time; the workers are its own affair.
class MountStat {
 public:
  using Statvfs = int (*)(const char*, struct statvfs*);

  static constexpr std::chrono::milliseconds kGrace{50};
  static constexpr std::size_t kStuckMax = 16;

  /// `statvfs` is called from any thread and must outlive the process's last call of it: a
  /// function, not a closure.
  /// `wakeup` is woken when all mounts have answered and wait_ns() was asked for before that.
  MountStat(Statvfs statvfs, std::chrono::milliseconds timeout,
            std::shared_ptr<const Wakeup> wakeup, const Clock& clock = real_clock());
  ~MountStat();
  MountStat(const MountStat&) = delete;
  MountStat& operator=(const MountStat&) = delete;

  /// The mounts to ask from now on. A mount that is among them again stays what it was, stuck or
  /// not.
  void set_mounts(std::vector<MountToAsk> mounts);

  /// Begins to ask every mount once. An error means that no thread could be started and none is
  /// asked.
  Result<void> begin();

  /// 0: all have answered, or the deadline is over. Else in how many nanoseconds to call it again,
  /// at the latest: that is when others go on for a worker that makes no progress.
  std::int64_t wait_ns();

  /// After begin(): ends the tick; what has not answered has timed out. No data where that is called
  /// too early.
  Result<void> finish();

  /// How many of this tick's mounts have not answered yet.
  std::size_t left() const;

  /// What the mount at `index` of set_mounts() answered, after finish().
  const MountAnswer& answer(std::size_t index) const;

 private:
  struct Question;
  struct State;

  Result<void> start_worker();
  void start_helpers();
  static void work(State& state);

  const Clock& clock_;
  const std::chrono::nanoseconds timeout_;
  std::int64_t deadline_ns_ = 0;        // of this tick, monotonic
  std::int64_t help_at_ns_ = 0;         // unless there is progress until then
  std::size_t left_then_ = 0;           // mounts, kGrace before help_at_ns_
  const std::shared_ptr<State> state_;  // shared with every worker: the last one frees it
};

}  // namespace msp::collectors
