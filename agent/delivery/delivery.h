// The threads that deliver: one for each endpoint. Endpoints come, change and go while the agent
// runs.
//
// Main thread only. No call here waits for a network or a disk, but stop(), which has a deadline.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/result.h"
#include "agent/config/config.h"
#include "agent/delivery/sender.h"
#include "agent/delivery/stats.h"
#include "agent/queue/queue.h"

namespace msp::delivery {

/// Which place in the queue the endpoint has: the same name after a restart or a reload is the same
/// place. Another customer, another url or another tenant (X-Scope-OrgID, AccountID, ProjectID) is
/// another one, so that nothing that was collected for one is handed to another; `name` in the
/// configuration keeps the place when the url changes.
std::string endpoint_identity(const config::Config& config, const config::EndpointConfig& endpoint);

/// What makes the requests of an endpoint over HTTP, on one connection. `endpoint` outlives it; a
/// request that is under way ends with the deadline of `stop`.
RemoteWriteClient::Post connect_over_http(const config::EndpointConfig& endpoint,
                                          const StopToken& stop);

class Delivery {
 public:
  struct Setup {
    queue::Queue& queue;
    AgentStats& stats;
    /// A thread ended with an exception: the agent cannot go on. Any thread.
    std::function<void(const std::string& reason)> on_thread_failure;
    /// What makes the requests of an endpoint; `stop` ends one that is under way.
    std::function<RemoteWriteClient::Post(const config::EndpointConfig&, const StopToken& stop)>
        connect = connect_over_http;
    Clock& clock = real_clock();
    /// An endpoint has another EndpointStats::state than it had, or has caught up. Any thread.
    std::function<void()> on_state_change = [] {};
  };

  /// All references outlive it.
  explicit Delivery(Setup setup);
  ~Delivery();

  /// Delivers to the endpoints of `config`, known by who they are (endpoint_identity()). One that is
  /// the same is not touched. One that has changed goes on at its place with a new connection. One
  /// that is gone gets nothing new; what is kept for it is delivered, and then it ends. A new one
  /// gets what is collected from now on. After an error (no more threads) nothing has changed.
  Result<void> set_endpoints(const config::Config& config);

  /// Lets go of those that are gone and have got everything.
  void reap();

  /// Sends what is left until `deadline_ns` (monotonic clock). False where a thread hangs, as in the
  /// read of a disk: what it uses must live as long as the process.
  bool stop(std::int64_t deadline_ns);

 private:
  class Worker;

  Setup setup_;
  std::list<std::shared_ptr<Worker>> workers_;
};

}  // namespace msp::delivery
