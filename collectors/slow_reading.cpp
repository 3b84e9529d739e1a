#include "collectors/slow_reading.h"

#include <mutex>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/detached_thread.h"
#include "agent/base/text.h"

namespace msp::collectors {

struct SlowReading::State {
  std::mutex mutex;
  bool is_done = false;
};

SlowReading::SlowReading(std::string what, std::shared_ptr<const Wakeup> wakeup)
    : what_(std::move(what)), wakeup_(std::move(wakeup)) {}

bool SlowReading::is_done() const {
  const std::lock_guard lock(state_->mutex);
  return state_->is_done;
}

Result<void> SlowReading::start(std::function<void()> read, std::size_t stack_bytes) {
  if (state_ && !is_done()) {
    return failed(cat(what_, ": all processes are still being read for an earlier tick"));
  }
  state_ = std::make_shared<State>();
  auto run = [state = state_, read = std::move(read), wakeup = wakeup_] {
    read();
    {
      const std::lock_guard lock(state->mutex);
      state->is_done = true;
    }
    if (wakeup) wakeup->wake();
  };
  if (auto started = start_detached(std::move(run), stack_bytes); !started) {
    state_ = nullptr;
    return failed(cat(what_, ": ", started.error().text));
  }
  return {};
}

std::int64_t SlowReading::wait_ns() const {
  return state_ && !is_done() ? kNsPerSecond : 0;
}

Result<void> SlowReading::done() const {
  if (state_ && is_done()) return {};
  return failed(cat(what_, ": all processes take longer than a tick"));
}

}  // namespace msp::collectors
