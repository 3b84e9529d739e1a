// Counters and states of what the agent did, for its own metrics and its status. Written by the
// thread that does it, read by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

namespace msp {

/// What became of the last request to an endpoint.
enum class EndpointState : std::uint8_t {
  starting,       // there was none yet
  delivering,     // accepted
  retrying,       // no answer, or one that passes by itself
  misconfigured,  // somebody must mend the configuration, here or there
};

struct EndpointStats {
  explicit EndpointStats(std::string endpoint_name) : name(std::move(endpoint_name)) {}

  const std::string name;                           // the URL without query, as it is safe to show
  std::atomic<std::uint64_t> samples_sent = 0;      // answered with 2xx
  std::atomic<std::uint64_t> samples_rejected = 0;  // refused for good, dropped
  std::atomic<std::uint64_t> bytes_sent = 0;        // bodies, whatever the answer was
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<std::uint64_t> retries = 0;         // requests that will be sent again
  std::atomic<std::int64_t> last_success_ms = 0;  // wall clock; 0: never
  std::atomic<EndpointState> state = EndpointState::starting;
  std::atomic<const char*> protocol = "";  // the one in use, as the configuration calls it

  /// The server's words, or why there was no answer, on one line; empty: nothing went wrong yet.
  std::string last_error() const {
    const std::lock_guard lock(mutex_);
    return last_error_;
  }
  void set_last_error(std::string text) {
    const std::lock_guard lock(mutex_);
    last_error_ = std::move(text);
  }

 private:
  mutable std::mutex mutex_;
  std::string last_error_;
};

struct AgentStats {
  std::atomic<std::uint64_t> ticks_skipped = 0;
  std::deque<EndpointStats> endpoints;  // fixed before threads start
};

}  // namespace msp
