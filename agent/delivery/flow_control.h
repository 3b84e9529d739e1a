// How fast a backlog is sent: gently. When a centre comes back, thousands of agents have something
// for it at the same moment. So a backlog waits a random while first, is sent at a bounded rate,
// rests after each request for as long as the request took, so that a centre that slows down slows
// us down, and longer where the centre says that it is overloaded. Its requests are small enough on
// a slow link that the next fresh scrape is not late. In the hour after an outage they are also so
// far apart that a fleet makes fewer of them than live ones.
//
// Knows no clock: times are given, of the monotonic one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace msp::delivery {

class FlowControl {
 public:
  /// 0 samples per second: no limit but the endpoint's own speed, and no rest while it is neither slow
  /// nor overloaded. `live_every_ns`: how far live requests are apart, at most.
  explicit FlowControl(std::uint64_t samples_per_second, std::int64_t live_every_ns = 0)
      : samples_per_second_(samples_per_second),
        live_every_ns_(live_every_ns),
        live_apart_ns_(live_every_ns) {}

  /// The backlog of an outage that was `outage_ns` long: waits up to that long, at most a minute.
  /// `random` is in [0, 1).
  void after_outage(std::int64_t outage_ns, double random, std::int64_t now_ns);

  /// When the next request of a backlog may be sent.
  std::int64_t ready_ns() const { return ready_ns_; }
  /// And how much it may carry.
  std::size_t samples_max() const { return samples_max_; }

  /// A request was answered.
  void answered(std::size_t samples, std::int64_t began_ns, std::int64_t ended_ns);
  /// A live request begins, so long after the one before.
  void live_begins(std::int64_t after_ns) {
    live_apart_ns_ += (std::min(after_ns, live_every_ns_) - live_apart_ns_) / 8;
  }
  /// The last request of a batch was: `samples` of the `waiting` ones. There are four batches for five
  /// live requests, and more where that would not send all within kSpreadNs of the outage. A relay
  /// has many live requests: its backlog, which others add to, must not grow. Requests of one batch
  /// are not held apart, for a stop or a kill between them makes the next run send all of it again.
  void batch_ended(std::size_t samples, std::size_t waiting, std::int64_t now_ns);
  /// It was not in time, or the answer was that the endpoint is overloaded.
  void overloaded(std::int64_t began_ns, std::int64_t ended_ns);

  static constexpr std::size_t kSamplesMin = 1'000;
  static constexpr std::size_t kSamplesMax = 25'000;
  static constexpr std::int64_t kSlowNs = 2'000'000'000;
  static constexpr std::int64_t kFastNs = 500'000'000;
  static constexpr std::int64_t kWaitMaxNs = 60'000'000'000;
  static constexpr std::int64_t kSpreadNs = 3'600'000'000'000;
  static constexpr int kRestFactorMax = 64;

 private:
  void fit_size(std::int64_t took_ns);

  std::uint64_t samples_per_second_;
  std::int64_t live_every_ns_;
  std::int64_t live_apart_ns_;  // on average
  std::int64_t spread_until_ns_ = 0;
  std::size_t samples_max_ = kSamplesMax;
  std::int64_t ready_ns_ = 0;
  int rest_factor_ = 1;
};

}  // namespace msp::delivery
