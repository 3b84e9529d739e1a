// How one thread tells others to end, with the time by which they must have ended: the only way
// anything in the agent is told to. A token can be waited on, looked at (libcurl's progress
// function does), and can call a function, which is how a stop ends other waits:
//
//   StopSource stop;                             the owner's; stop.token() goes to the threads
//   StopCallback wake(token, [&] { { lock_guard lock(mutex); }  changed.notify_all(); });
//
// The function locks the waiter's mutex once, so that it comes before the waiter has looked at the
// token or after the waiter waits. A source that ends when another one does, earlier or with it, is
// a StopCallback that calls its request_stop().
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>

#include "agent/base/clock.h"

namespace msp {

/// Copies share what they know. Any thread.
class StopToken {
 public:
  /// Of nobody: it is never asked to stop.
  StopToken();

  bool stop_requested() const { return deadline_ns() != 0; }
  /// Work that is under way may go on until then (monotonic clock). 0: no stop was requested.
  std::int64_t deadline_ns() const;
  /// A stop was requested and its deadline is over.
  bool time_is_up() const;

  /// Returns at `until_ns` (monotonic clock), or as soon as a stop is requested: then true.
  bool wait_until(std::int64_t until_ns) const;

 private:
  friend class StopSource;
  friend class StopCallback;
  struct State;
  explicit StopToken(std::shared_ptr<State> state) : state_(std::move(state)) {}

  std::shared_ptr<State> state_;
};

/// Any thread.
class StopSource {
 public:
  /// `clock` outlives the source and its tokens.
  explicit StopSource(Clock& clock = real_clock());

  /// Of several requests the earliest deadline counts.
  void request_stop(std::int64_t deadline_ns);
  StopToken token() const { return StopToken(state_); }

 private:
  std::shared_ptr<StopToken::State> state_;
};

/// Calls `call` at each request to stop, in the thread that makes it; at once if there was one
/// already. After the destructor it is not called. Neither end is made with a lock held that `call`
/// takes, and `call` makes and destroys none of the same token.
class StopCallback {
 public:
  StopCallback(const StopToken& token, std::function<void()> call);
  ~StopCallback();
  StopCallback(const StopCallback&) = delete;
  StopCallback& operator=(const StopCallback&) = delete;

 private:
  const std::shared_ptr<StopToken::State> state_;
  std::list<std::function<void()>>::iterator place_;
};

}  // namespace msp
