// The signals that the agent is told by, as something to wait for together with other things:
// SIGTERM and SIGINT to stop, SIGPWR to stop because the host shuts down, SIGHUP to reload, and
// kStatusSignal to write its status file now.
#pragma once

#include <csignal>
#include <cstdint>

#include "agent/base/file.h"
#include "agent/base/result.h"
#include "agent/base/wakeup.h"

namespace msp::run {

/// Sent by `msp-agent status`.
inline constexpr int kStatusSignal = SIGUSR1;

class Signals {
 public:
  /// Blocks them in this thread, and in those that it starts from now on.
  static Result<Signals> open();

  /// Sleeps until a signal, `wakeup`, or `due_ns` (CLOCK_BOOTTIME). The signal; 0: none.
  int wait(const Wakeup& wakeup, std::int64_t due_ns) const;

 private:
  Signals(Fd fd, Fd timer, bool has_boottime)
      : fd_(std::move(fd)), timer_(std::move(timer)), has_boottime_(has_boottime) {}

  Fd fd_;  // signalfd(2)
  // timerfd(2), for a time-out of poll(2) would be as long again after the process was stopped and
  // continued, and knows nothing of the time that the host was suspended.
  Fd timer_;
  bool has_boottime_;
};

}  // namespace msp::run
