#include "agent/base/thread.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp {

std::string exception_text() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return "out of memory; raise the limit on it (MemoryMax= of the unit, ulimit -v)";
  } catch (const std::exception& exception) {
    return exception.what();
  } catch (...) {
    return "an exception that is none of the standard library's";
  }
}

/// Shared with the thread, which may outlive the owner.
struct Thread::State {
  std::thread thread;
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
};

Result<Thread> Thread::start(const std::string& name, std::function<void()> work,
                             OnException on_exception) {
  Thread result;
  result.state_ = std::make_shared<State>();
  auto state = result.state_;
  const auto run = [state, work = std::move(work), on_exception = std::move(on_exception)] {
    try {
      work();
    } catch (...) {
      on_exception(exception_text());
    }
    const std::lock_guard lock(state->mutex);
    state->ended = true;
    state->changed.notify_all();
  };
  try {
    result.state_->thread = std::thread(run);
  } catch (const std::system_error& error) {
    result.state_.reset();
    return failed(cat("cannot start a thread for ", name, ": ", errno_text(error.code().value()),
                      "; raise the limit on tasks (TasksMax= of the unit, ulimit -u) or on memory "
                      "(ulimit -v)"));
  }
  return result;
}

bool Thread::join_until(std::int64_t deadline_ns) {
  if (!state_ || !state_->thread.joinable()) return true;
  {
    std::unique_lock lock(state_->mutex);
    while (!state_->ended) {
      const auto left = left_until(deadline_ns);
      if (left.count() <= 0) return false;
      state_->changed.wait_for(lock, left);
    }
  }
  state_->thread.join();
  return true;
}

bool Thread::has_ended() const {
  if (!state_) return true;
  const std::lock_guard lock(state_->mutex);
  return state_->ended;
}

Thread::~Thread() {
  if (!state_ || !state_->thread.joinable()) return;
  // A thread that owned this itself has ended when it lets go of it, and cannot wait for itself.
  if (has_ended() && state_->thread.get_id() != std::this_thread::get_id()) {
    state_->thread.join();
  } else {
    state_->thread.detach();
  }
}

}  // namespace msp
