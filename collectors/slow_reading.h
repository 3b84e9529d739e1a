// What a collector reads in a thread of its own, for one tick after the other. The thread may go on
// when the tick has ended, and when the collector is gone: what it reads from is its own as well.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/detached_thread.h"
#include "agent/base/result.h"
#include "agent/base/text.h"
#include "agent/base/wakeup.h"

namespace msp {

template <typename T>
class SlowReading {
 public:
  /// `what` begins the messages, `wakeup` is the one of the collector's context.
  SlowReading(std::string what, std::shared_ptr<const Wakeup> wakeup)
      : what_(std::move(what)), wakeup_(std::move(wakeup)) {}

  /// Fails while the reading of an earlier tick is not over. `read` makes a T.
  template <typename Read>
  Result<void> start(Read read, std::size_t stack_bytes) {
    if (slot_ && !is_done()) {
      return failed(cat(what_, ": all processes are still being read for an earlier tick"));
    }
    slot_ = std::make_shared<Slot>();
    auto run = [slot = slot_, read = std::move(read), wakeup = wakeup_] {
      auto made = read();
      {
        const std::lock_guard lock(slot->mutex);
        slot->made = std::move(made);
      }
      if (wakeup) wakeup->wake();
    };
    if (auto started = start_detached(std::move(run), stack_bytes); !started) {
      slot_ = nullptr;
      return failed(cat(what_, ": ", started.error().text));
    }
    return {};
  }

  /// For Collector::wait_ns().
  std::int64_t wait_ns() const { return slot_ && !is_done() ? kNsPerSecond : 0; }

  /// What was read for this tick. Valid until the next start().
  Result<const T*> get() const {
    if (slot_ && is_done()) return &*slot_->made;
    return failed(cat(what_, ": all processes take longer than a tick"));
  }

 private:
  struct Slot {
    std::mutex mutex;
    std::optional<T> made;  // once it is done
  };

  bool is_done() const {
    const std::lock_guard lock(slot_->mutex);
    return slot_->made.has_value();
  }

  const std::string what_;
  const std::shared_ptr<const Wakeup> wakeup_;
  std::shared_ptr<Slot> slot_;  // of this tick, or of an earlier one that is not over
};

}  // namespace msp
