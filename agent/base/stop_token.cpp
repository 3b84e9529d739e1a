#include "agent/base/stop_token.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace msp {

struct StopToken::State {
  explicit State(Clock& of) : clock(of) {}

  Clock& clock;
  std::atomic<std::int64_t> deadline_ns = 0;  // written with `mutex`
  std::mutex mutex;
  std::condition_variable changed;
  std::mutex calling;  // never taken by who holds `mutex`
  std::list<std::function<void()>> calls;
};

StopToken::StopToken() : state_(std::make_shared<State>(real_clock())) {}

std::int64_t StopToken::deadline_ns() const {
  return state_->deadline_ns.load();
}

bool StopToken::time_is_up() const {
  const auto deadline = deadline_ns();
  return deadline != 0 && state_->clock.monotonic_ns() >= deadline;
}

bool StopToken::wait_until(std::int64_t until_ns) const {
  std::unique_lock lock(state_->mutex);
  while (!stop_requested() && state_->clock.monotonic_ns() < until_ns) {
    state_->clock.wait(lock, state_->changed, until_ns);
  }
  return stop_requested();
}

StopSource::StopSource(Clock& clock) : state_(std::make_shared<StopToken::State>(clock)) {}

void StopSource::request_stop(std::int64_t deadline_ns) {
  const auto state = state_;  // a call may end the source's owner
  {
    const std::lock_guard lock(state->mutex);
    const auto before = state->deadline_ns.load();
    const auto earliest = before == 0 ? deadline_ns : std::min(before, deadline_ns);
    state->deadline_ns = earliest != 0 ? earliest : 1;
  }
  state->changed.notify_all();
  const std::lock_guard lock(state->calling);
  for (const auto& call : state->calls) call();
}

StopCallback::StopCallback(const StopToken& token, std::function<void()> call)
    : state_(token.state_) {
  const std::lock_guard lock(state_->calling);
  place_ = state_->calls.insert(state_->calls.end(), std::move(call));
  if (token.stop_requested()) (*place_)();
}

StopCallback::~StopCallback() {
  const std::lock_guard lock(state_->calling);
  state_->calls.erase(place_);
}

}  // namespace msp
