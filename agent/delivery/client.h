// Takes a shipment to its endpoint, request by request: in the encoding and the size that the
// endpoint takes, by the rule for each answer. It does not wait, and it does not acknowledge.
//
// In remote write 2.0 an answer says how many samples were stored, and that number is believed: none
// means that the samples go in 1.0, fewer than were sent means that the rest is lost, and counted.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/throttle.h"
#include "agent/delivery/answer_rules.h"
#include "agent/delivery/encode/encode.h"
#include "agent/delivery/protocol.h"
#include "agent/delivery/size_limit.h"
#include "agent/delivery/splitter.h"
#include "agent/delivery/stats.h"
#include "agent/http/client.h"

namespace msp::delivery {

/// "HTTP 503: the server's own words", "HTTP 302, a redirect to https://other/write", or why there was no answer.
std::string problem_text(const http::HttpAnswer& answer);

/// Used by one thread.
class RemoteWriteClient {
 public:
  using Post =
      std::function<http::HttpAnswer(std::string_view body, const std::vector<std::string>&)>;

  enum class Outcome {
    progress,       // a part of the shipment was answered
    fewer_scrapes,  // all of it is refused: take fewer scrapes, samples_max() of samples
    try_again,      // after a back-off
    hold,           // until somebody corrects something
  };
  struct Report {
    Outcome outcome = Outcome::progress;
    std::size_t delivered = 0;  // samples
    http::HttpAnswer answer;
    std::string_view advice;  // to an operator, with hold
  };

  /// `stats` and `clock` outlive the client; it counts there what it sends.
  RemoteWriteClient(config::Protocol protocol, Post post, EndpointStats& stats,
                    Clock& clock = real_clock());

  /// Sends the next piece of what is left of `shipment`, which is not done.
  Report send_next(Splitter& shipment);

  /// What a shipment should carry at most: halved by each refusal of all of one.
  std::size_t samples_max() const { return samples_max_; }

  /// Whether the endpoint takes a sample that is older than one it has of the same series; empty:
  /// it is not known. One that takes zstd does: it is VictoriaMetrics.
  std::optional<bool> takes_any_order() const { return takes_any_order_; }

  /// Finds out, with two samples of msp_agent_probe, of which the older one comes last. `batch` was
  /// accepted.
  void ask_for_order(queue::Batch& batch);

  /// The server's words to what was refused last.
  const std::string& refusal() const { return refusal_; }

  /// Gives back what large shipments needed.
  void release() { encoder_.release(); }

  // Tries without any success until there are fewer scrapes; the second: where the scrape before
  // was refused as a whole.
  static constexpr std::size_t kFruitlessTriesMax = 15;
  static constexpr std::size_t kFruitlessTriesAfterWholeMax = 3;
  /// Of what a relay received, series of many senders: it goes down to single ones, of any of them, and
  /// where some forty have been refused alone, the others are as well.
  static constexpr std::size_t kFruitlessTriesRelayedMax = 100;

 private:
  struct Exchange {
    Action action;
    http::HttpAnswer answer;
    Encoder::Part part;  // its body is gone
    Wire wire;
  };

  Exchange post(queue::Batch& batch, std::size_t rows_begin, std::size_t rows_end, Wire wire);
  Exchange exchange(queue::Batch& batch, std::size_t rows_begin, std::size_t rows_end, bool whole);
  Report send_front(Splitter& shipment);
  std::int64_t next_probe_ms();
  Report probe(Splitter& shipment);
  std::size_t count_written(const Exchange& sent);
  void tell_unwritten(std::size_t unwritten, std::size_t samples);
  void on_unreadable(std::size_t samples);
  void on_refused(Splitter& shipment, Report& report);

  const Post post_;
  EndpointStats& stats_;
  Clock& clock_;
  ProtocolChoice protocol_;
  const std::int64_t run_;  // of probes: when this client was made, in milliseconds
  SizeLimit size_;
  Encoder encoder_;
  std::string refusal_;
  std::size_t samples_max_;
  std::optional<bool> takes_any_order_;
  std::int64_t probe_ms_ = 0;   // the last one's time
  bool refused_whole_ = false;  // the last shipment that was done
  Throttle unwritten_lines_;
};

}  // namespace msp::delivery
