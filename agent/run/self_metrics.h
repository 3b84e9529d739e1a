// The agent's own samples: msp_agent_*.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/base/file.h"
#include "agent/delivery/stats.h"
#include "agent/metrics/series_writer.h"
#include "agent/queue/queue.h"
#include "agent/relay/receiver.h"
#include "agent/run/last_stop.h"

namespace msp::run {

/// Main thread only. What it is given outlives it.
class SelfMetrics {
 public:
  /// Without a buffer (null), as in a dry run, nothing waits and nothing was dropped, and without
  /// `last_stop` nothing is known of the run before.
  SelfMetrics(const delivery::AgentStats& stats, const queue::Queue* queue,
              const LastStop* last_stop = nullptr)
      : stats_(stats), queue_(queue), last_stop_(last_stop) {}

  /// What clients send is told as well; null: nothing is received.
  void set_received(std::shared_ptr<const relay::ReceiverStats> received) {
    received_ = std::move(received);
  }

  void add_to(metrics::SeriesWriter& out);

  /// The agent's last word: why it stops.
  static void add_stop(StopReason reason, metrics::SeriesWriter& out);

  /// Nothing, where the kernel does not say.
  std::optional<double> resident_bytes();

 private:
  void add_process(metrics::SeriesWriter& out);
  void add_buffer(metrics::SeriesWriter& out);
  void add_received(metrics::SeriesWriter& out);
  void add_endpoint(const delivery::EndpointStats& endpoint, metrics::SeriesWriter& out);

  const delivery::AgentStats& stats_;
  const queue::Queue* queue_;
  const LastStop* last_stop_;
  std::shared_ptr<const relay::ReceiverStats> received_;
  KeptFile statm_{"/proc/self/statm",
                  KeptFile::End::short_read};  // this very process, whatever --path.procfs is
};

}  // namespace msp::run
