// A source's slow part: one call at a time, in a thread of its own that is started for it. A call
// that hangs is left alone with its thread, costs nobody anything else, and no second one is started
// beside it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "agent/base/detached_thread.h"
#include "agent/base/result.h"
#include "agent/base/wakeup.h"

namespace msp::sources {

/// One thread at a time; the call's thread is its own affair. The destructor waits for nobody.
template <typename T>
class Background {
 public:
  /// `wakeup` is woken when a call returns.
  explicit Background(std::shared_ptr<const Wakeup> wakeup, std::size_t stack_bytes)
      : state_(std::make_shared<State>(std::move(wakeup))), stack_bytes_(stack_bytes) {}

  /// Starts `call`, which owns all that it uses. An error where the one before has not returned, or
  /// there can be no more threads.
  Result<void> start(std::function<T()> call) {
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->is_running) return failed("the call of an earlier tick has not returned yet");
      state_->is_running = state_->is_wanted = true;
      state_->result.reset();
    }
    auto started = start_detached(
        [state = state_, call = std::move(call)] {
          const Ending ending{*state};
          auto result = call();
          const std::lock_guard lock(state->mutex);
          if (state->is_wanted) state->result = std::move(result);
        },
        stack_bytes_);
    if (!started) {
      const std::lock_guard lock(state_->mutex);
      state_->is_running = false;
    }
    return started;
  }

  /// A call has not returned.
  bool is_running() const {
    const std::lock_guard lock(state_->mutex);
    return state_->is_running;
  }

  /// What the last call returned, once. Nothing where it has not returned, or has thrown; what it
  /// returns from now on is of a tick that is over, and dropped.
  std::optional<T> take() {
    const std::lock_guard lock(state_->mutex);
    state_->is_wanted = false;
    return std::exchange(state_->result, std::nullopt);
  }

 private:
  struct State {
    explicit State(std::shared_ptr<const Wakeup> wanted) : wakeup(std::move(wanted)) {}

    const std::shared_ptr<const Wakeup> wakeup;
    std::mutex mutex;
    bool is_running = false;
    bool is_wanted = false;
    std::optional<T> result;
  };

  /// Whatever becomes of a call.
  struct Ending {
    State& state;
    ~Ending() {
      {
        const std::lock_guard lock(state.mutex);
        state.is_running = false;
      }
      state.wakeup->wake();
    }
  };

  const std::shared_ptr<State> state_;
  const std::size_t stack_bytes_;
};

}  // namespace msp::sources
