// What the agent answers: the server of `listen` with its pages, on a thread of its own. Without
// `listen` in the configuration there is neither.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/base/result.h"
#include "agent/config/config.h"
#include "agent/queue/queue.h"
#include "agent/relay/receiver.h"
#include "agent/relay/relay_path.h"
#include "agent/run/agent.h"
#include "agent/run/status_file.h"

namespace msp::run {

/// Main thread only.
class Listener {
 public:
  struct Setup {
    collectors::HostPaths paths;
    queue::Queue* queue = nullptr;  // what is received goes there; null: nothing is received
    std::shared_ptr<relay::RelayPath> path = std::make_shared<relay::RelayPath>();
    std::function<void(const std::string& reason)> on_thread_failure;
    /// Told when a collector of /metrics fails, and works again; any thread.
    OnHealthChange on_health_change = [](std::string_view, const Error*) {};
  };

  explicit Listener(Setup setup) : setup_(std::move(setup)) {}
  ~Listener() { stop(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Answers as `config` says from now on; connections of before end where that differs. An error says
  /// why it cannot listen: it tries again by itself.
  Result<void> set(const config::Config& config);

  void stop();

  /// Null where nothing is received. Others after each set().
  std::shared_ptr<const relay::ReceiverStats> received() const;

  /// Nothing where it is to listen nowhere.
  std::optional<ListenReport> report() const;

 private:
  struct Running;

  const Setup setup_;
  config::Config config_;  // that of `running_`
  std::shared_ptr<Running> running_;
};

}  // namespace msp::run
