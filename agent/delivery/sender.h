// Delivers what the buffer holds for one endpoint: which scrape goes next, and when. A scrape is
// acknowledged only when all of it was answered with 2xx, or refused for good, which is counted and
// logged.
//
// fresh_first: the newest scrape as soon as it is there, a backlog in the time that is left, or, at
// an endpoint that is slower than the ticks, in turns with it; after a failure the newest scrape
// alone is the next try. oldest_first: everything in its order. Where the configuration leaves it
// open and the endpoint's protocol does not tell, the oldest scrape goes first, and the endpoint is
// asked which it takes. In both orders FlowControl decides how fast a backlog is sent. The log has a
// line when delivery begins to fail and one when it works again, not in between.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "agent/base/clock.h"
#include "agent/base/throttle.h"
#include "agent/config/config.h"
#include "agent/delivery/client.h"
#include "agent/delivery/flow_control.h"
#include "agent/delivery/splitter.h"
#include "agent/delivery/stats.h"
#include "agent/http/client.h"
#include "agent/queue/queue.h"

namespace msp {

/// Full jitter: anything up to 1 s doubled `failures` - 1 times, at most 60 s; `random` is in [0,
/// 1).
std::chrono::nanoseconds backoff(int failures, double random);

/// What only an operator can correct is tried once a minute, more or less.
std::chrono::nanoseconds hold_time(double random);

class Sender {
 public:
  /// All references outlive the sender. `endpoint` is the endpoint's number in the buffer.
  Sender(const EndpointConfig& config, std::size_t endpoint, Buffer& buffer, EndpointStats& stats);

  /// The thread's work. Returns after stop_at(): when nothing is left to send, a request failed, or
  /// time is up; and when the endpoint has been ended and has got everything.
  void run();

  /// Any thread; Buffer::stop() or interrupt() must follow. What is waiting is still tried until
  /// `deadline_ns` (monotonic).
  void stop_at(std::int64_t deadline_ns);

 private:
  bool stopping() const { return stop_at_ns_.load() != 0; }
  bool time_is_up() const { return stopping() && monotonic_ns() >= stop_at_ns_; }
  double random() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  void take_over_earlier_run();
  Order order() const;
  Splitter* next_shipment(bool last_try);
  bool send(Splitter& shipment);
  void finish(Splitter& shipment);
  void on_delivered(std::size_t samples, const HttpAnswer& answer);
  void tell_doubt(const std::string& doubt);
  void on_dropped(const Splitter& shipment);
  void on_nothing_left();
  void compare_clocks(const HttpAnswer& answer, std::int64_t took_ns);
  void on_failure(const RemoteWriteClient::Report& report);
  void tell_failure(const RemoteWriteClient::Report& report, std::int64_t wait_ns);

  const EndpointConfig& config_;
  const std::size_t endpoint_;
  Buffer& buffer_;
  EndpointStats& stats_;
  std::atomic<std::int64_t> stop_at_ns_ = 0;
  HttpClient http_;
  RemoteWriteClient client_;
  FlowControl flow_;
  Splitter fresh_;
  Splitter backlog_;  // with oldest_first everything
  std::mt19937_64 random_{std::random_device{}()};

  int failures_ = 0;                   // in a row
  std::int64_t first_failure_ns_ = 0;  // of those; times are monotonic
  std::int64_t failing_since_ns_ = 0;  // until all is caught up; 0: delivering
  std::int64_t resume_ns_ = 0;         // end of the back-off
  std::uint64_t caught_up_ = 0;        // samples delivered since it works again
  bool backlog_turn_ = false;          // its next request goes before the next fresh scrape
  std::string told_;                   // the problem that was logged last, empty: none
  std::int64_t told_at_ns_ = 0;
  std::string told_moved_to_;
  bool told_rejection_ = false;
  bool told_skew_ = false;
  bool told_doubt_ = false;
  // For those that come and go from request to request.
  Throttle failure_lines_;
  Throttle moved_lines_;
  Throttle rejection_lines_;
  Throttle skew_lines_;
  Throttle doubt_lines_;
};

}  // namespace msp
