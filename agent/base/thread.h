// A thread whose exceptions and whose end are accounted for: the only way the agent starts one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/base/result.h"

namespace msp {

/// What the exception is that is being handled, and what to do about it.
std::string exception_text();

/// Moved, not copied. A thread that was not joined when this is destroyed is let go of: what it uses
/// must live as long as the process, or be owned by `work`, which may own this as well.
class Thread {
 public:
  /// Called in the thread when an exception left `work`; `reason` is exception_text().
  using OnException = std::function<void(const std::string& reason)>;

  Thread() = default;
  Thread(Thread&&) noexcept = default;
  Thread& operator=(Thread&&) noexcept = default;
  ~Thread();

  /// An error where the system starts no more threads. `name` is what such an error calls it.
  static Result<Thread> start(const std::string& name, std::function<void()> work,
                              OnException on_exception);

  /// Waits until the thread has ended, until `deadline_ns` (monotonic clock) at most. False: it has
  /// not. True too where none was started.
  bool join_until(std::int64_t deadline_ns);

  bool has_ended() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace msp
