// Delivers what the queue holds for one endpoint: what goes next, and when. An entry is acknowledged
// only when all of it was answered with 2xx, or refused for good, which is counted and logged.
//
// fresh_first: the live lane on time, the backlog in the time that is left, or, at an endpoint that
// is slower than the ticks, in turns with it; after a failure the newest entries alone are the next
// try. oldest_first: everything in its order. Where the configuration leaves the order open and the
// endpoint's protocol does not tell, the oldest goes first, and the endpoint is asked which it takes.
// In both orders FlowControl decides how fast a backlog is sent. The log has a line when delivery
// begins to fail and one when it works again, not in between.
//
// Live: a request carries what all streams have produced since the last one. It goes when the lead
// stream, the host's, has a new scrape; with send_every, when the first such scrape is due after
// that time. What has no lead stream beside it waits send_every at most, a relay's request a moment.
//
// It waits for nothing: its caller asks it for one step at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "agent/base/clock.h"
#include "agent/base/stop_token.h"
#include "agent/base/throttle.h"
#include "agent/config/config.h"
#include "agent/delivery/client.h"
#include "agent/delivery/endpoint_relabel.h"
#include "agent/delivery/flow_control.h"
#include "agent/delivery/splitter.h"
#include "agent/delivery/stats.h"
#include "agent/queue/queue.h"

namespace msp::delivery {

/// Full jitter: anything up to 1 s doubled `failures` - 1 times, at most 60 s; `random` is in [0,
/// 1).
std::chrono::nanoseconds backoff(int failures, double random);

/// What only an operator can correct is tried once a minute, more or less.
std::chrono::nanoseconds hold_time(double random);

/// The name of the host's stream.
inline constexpr std::string_view kLeadStream = "host";

/// One thread.
class Sender {
 public:
  struct Setup {
    config::EndpointConfig endpoint;
    std::chrono::milliseconds interval;  // of the lead stream
    queue::Queue& queue;
    std::size_t consumer;  // the endpoint's number in the queue
    EndpointStats& stats;
    Clock& clock;
    std::uint64_t seed = std::random_device{}();
  };
  struct Next {
    std::int64_t due_ns = 0;     // of the next step (monotonic clock), unless something is appended
    bool is_idle = false;        // the endpoint has got everything
    bool made_progress = false;  // something was delivered, or is known to be refused
  };

  /// A stop that is requested makes what waits due now.
  Sender(const Setup& setup, RemoteWriteClient::Post post, StopToken stop);
  ~Sender();

  /// One request, or a few where the first was not understood; none where nothing is due.
  Next step();

  /// It is behind, after an outage or from an earlier run.
  bool has_backlog() const { return has_backlog_; }

 private:
  double random() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  std::int64_t send_every_ns() const;
  std::int64_t live_since_ns() const;
  void take_over_earlier_run();
  config::Order order() const;
  Splitter* next_to_send(bool is_last_try, std::int64_t& due_ns);
  bool begin_live(queue::Wanted::Lane lane, bool is_last_try, std::int64_t& due_ns);
  bool is_due(const queue::Batch& batch, std::int64_t now_ns, std::int64_t& due_ns);
  Splitter* begin_backlog(bool fresh_first, bool is_last_try, std::int64_t& due_ns);
  bool send(Splitter& sent);
  void finish(Splitter& sent);
  void put_back(Splitter& splitter);
  void on_delivered(std::size_t samples, const http::HttpAnswer& answer);
  void tell_doubt(const std::string& doubt);
  void on_dropped(const Splitter& sent);
  void on_duplicates(std::size_t duplicates);
  void on_nothing_left();
  void compare_clocks(const http::HttpAnswer& answer, std::int64_t took_ns);
  std::chrono::nanoseconds retry_wait(bool overloaded, std::int64_t took_ns);
  void on_failure(const RemoteWriteClient::Report& report, std::chrono::nanoseconds wait);
  void tell_failure(const RemoteWriteClient::Report& report, std::int64_t wait_ns);

  const Setup setup_;
  const StopToken stop_;
  const config::EndpointConfig& config_;
  queue::Queue& queue_;
  const std::size_t consumer_;
  EndpointStats& stats_;
  Clock& clock_;
  RemoteWriteClient client_;
  FlowControl flow_;
  EndpointRelabel relabel_;
  Splitter live_;
  Splitter backlog_;
  std::mt19937_64 random_;

  int failures_ = 0;                   // in a row
  std::int64_t first_failure_ns_ = 0;  // of those; times are monotonic
  std::int64_t failing_since_ns_ = 0;  // until all is caught up; 0: delivering
  std::int64_t resume_ns_ = 0;         // end of the back-off
  std::uint64_t caught_up_ = 0;        // samples delivered since it works again
  bool has_backlog_ = false;           // of an outage or an earlier run: paced, until all is sent
  bool backlog_turn_ = false;          // its next request goes before the next live one
  std::int64_t live_sent_ns_ = 0;      // when the last live request began; 0: none yet
  std::int64_t live_waits_since_ns_ = 0;  // something that is not due; 0: nothing
  std::int64_t released_ns_ = 0;          // when memory was given back
  std::string told_;                      // the problem that was logged last, empty: none
  std::int64_t told_at_ns_ = 0;
  std::string told_moved_to_;
  bool told_rejection_ = false;
  bool told_duplicates_ = false;
  bool told_skew_ = false;
  bool told_doubt_ = false;
  // For those that come and go from request to request.
  Throttle failure_lines_;
  Throttle moved_lines_;
  Throttle rejection_lines_;
  Throttle skew_lines_;
  Throttle doubt_lines_;
};

}  // namespace msp::delivery
