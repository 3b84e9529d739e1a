// Counters and states of what the agent did, for its own metrics and its status. Written by the
// thread that does it, read by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>

namespace msp::delivery {

/// What became of the last request to an endpoint.
enum class EndpointState : std::uint8_t {
  starting,       // there was none yet
  delivering,     // accepted
  retrying,       // no answer, or one that passes by itself
  misconfigured,  // somebody must correct the configuration, here or at the endpoint
  refusing,       // the endpoint works, and refused for good all that was in it
};

struct EndpointStats {
  explicit EndpointStats(std::string endpoint_name, std::size_t consumer_number = 0)
      : name(std::move(endpoint_name)), number(consumer_number) {}

  const std::string name;             // the URL without query, as it is safe to show
  const std::size_t number;           // in the Queue
  std::atomic<bool> removed = false;  // from the configuration; what is kept is still delivered
  std::atomic<std::int64_t> timeout_ns = 0;          // of a request
  std::atomic<std::uint64_t> samples_sent = 0;       // answered with 2xx
  std::atomic<std::uint64_t> samples_rejected = 0;   // refused for good, dropped
  std::atomic<std::uint64_t> samples_duplicate = 0;  // of a series and time sent already, dropped
  std::atomic<std::uint64_t> samples_relabeled = 0;  // dropped by the endpoint's rules
  std::atomic<std::uint64_t> bytes_sent = 0;         // bodies, whatever the answer was
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<std::uint64_t> retries = 0;         // requests that will be sent again
  std::atomic<std::int64_t> last_success_ms = 0;  // wall clock; 0: never
  // This host's clock ahead of the endpoint's; kUnknown: no answer has had a date.
  static constexpr std::int64_t kUnknown = INT64_MIN;
  std::atomic<std::int64_t> clock_ahead_s = kUnknown;
  std::atomic<EndpointState> state = EndpointState::starting;
  std::atomic<std::int64_t> request_since_ns = 0;  // monotonic; 0: no request is under way
  std::atomic<const char*> protocol = "";          // the one in use, as the configuration calls it

  /// The server's words, or why there was no answer; empty: nothing went wrong yet.
  std::string last_error() const {
    const std::lock_guard lock(mutex_);
    return last_error_;
  }
  void set_last_error(std::string text) {
    const std::lock_guard lock(mutex_);
    last_error_ = std::move(text);
  }
  /// How far the two clocks are from each other and what to do; empty: they agree.
  std::string clock_problem() const {
    const std::lock_guard lock(mutex_);
    return clock_problem_;
  }
  void set_clock_problem(std::string text) {
    const std::lock_guard lock(mutex_);
    clock_problem_ = std::move(text);
  }
  /// Why the last 2xx may not mean what it says, see doubt_about(); empty: it does.
  std::string answer_problem() const {
    const std::lock_guard lock(mutex_);
    return answer_problem_;
  }
  void set_answer_problem(std::string text) {
    const std::lock_guard lock(mutex_);
    answer_problem_ = std::move(text);
  }

 private:
  mutable std::mutex mutex_;
  std::string last_error_;
  std::string clock_problem_;
  std::string answer_problem_;
};

struct AgentStats {
  std::atomic<std::uint64_t> ticks_skipped = 0;
  std::atomic<std::uint64_t> duplicate_samples = 0;
  std::atomic<std::uint64_t> config_hash = 0;  // Config::hash of the one in force
  std::atomic<bool> reload_failed = false;     // the last one; false: there was none
  std::list<EndpointStats> endpoints;          // the main thread's; their addresses stay
};

}  // namespace msp::delivery
