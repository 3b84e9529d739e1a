// What a collector reads in a thread of its own, for one tick after the other. The thread may go on
// when the tick has ended, and when the collector is gone: what it reads from and what it makes are
// its own as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/base/result.h"
#include "agent/base/wakeup.h"

namespace msp::collectors {

class SlowReading {
 public:
  /// `what` begins the messages, `wakeup` is the one of the collector's context.
  SlowReading(std::string what, std::shared_ptr<const Wakeup> wakeup);

  /// Fails while the reading of an earlier tick is not over; what that one makes is not to be looked
  /// at before.
  Result<void> start(std::function<void()> read, std::size_t stack_bytes);

  /// For Collector::wait_ns().
  std::int64_t wait_ns() const;

  /// Fails where what was started last is not over.
  Result<void> done() const;

 private:
  struct State;

  bool is_done() const;

  const std::string what_;
  const std::shared_ptr<const Wakeup> wakeup_;
  std::shared_ptr<State> state_;  // of this tick, or of an earlier one that is not over
};

}  // namespace msp::collectors
