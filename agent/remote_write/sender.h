// Delivers what the buffer holds for one endpoint: peek, encode, POST, acknowledge. A sample is
// acknowledged only when the endpoint answered 2xx, or refused it for good, which is counted and
// logged; anything else is tried again after a back-off with full jitter. Tells people when
// delivery begins to fail and when it works again, not in between.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "agent/buffer/buffer.h"
#include "agent/config/config.h"
#include "agent/remote_write/encode.h"
#include "agent/remote_write/http.h"
#include "agent/self/stats.h"

namespace msp {

/// What a request came to.
enum class Verdict {
  delivered,
  retry,     // the network, the server's load, or a configuration that somebody will mend
  rejected,  // the server will never take these samples
};

/// The rule for an HTTP status; 0 is a request without an answer.
Verdict judge(int status);

/// Full jitter: anything up to 1 s doubled `failures` - 1 times, at most 60 s; `random` is in [0,
/// 1).
std::chrono::nanoseconds backoff(int failures, double random);

class Sender {
 public:
  /// All references outlive the sender. `endpoint` is the endpoint's number in the buffer.
  Sender(const EndpointConfig& config, std::size_t endpoint, Buffer& buffer, EndpointStats& stats);

  /// The thread's work. Returns after stop_at(): when nothing is left to send, a request failed, or
  /// time is up.
  void run();

  /// Any thread, once; Buffer::stop() must follow. What is waiting is still tried until
  /// `deadline_ns` (monotonic).
  void stop_at(std::int64_t deadline_ns);

  static constexpr std::size_t kSamplesPerRequestMax = 10'000;

 private:
  bool stopping() const { return stop_at_ns_.load() != 0; }
  Verdict send();
  void on_delivered();
  void on_rejected(const HttpAnswer& answer);
  void on_retry(const HttpAnswer& answer);

  const EndpointConfig& config_;
  const std::size_t endpoint_;
  Buffer& buffer_;
  EndpointStats& stats_;
  std::atomic<std::int64_t> stop_at_ns_ = 0;
  HttpClient http_;
  Encoder encoder_;
  Batch batch_;
  std::mt19937_64 random_{std::random_device{}()};

  int failures_ = 0;                   // in a row
  std::int64_t failing_since_ns_ = 0;  // monotonic; 0: delivering
  std::int64_t resume_ns_ = 0;         // end of the back-off
  std::uint64_t caught_up_ = 0;        // samples delivered since it works again
  std::string told_;                   // the problem that was logged last, empty: none
  std::int64_t told_at_ns_ = 0;
  bool told_rejection_ = false;
};

}  // namespace msp
