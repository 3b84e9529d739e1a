#include "agent/delivery/delivery.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/delivery/sender.h"

namespace msp {
namespace {

// Of the 5 s in which a stop must end: for the network, then for the disk.
constexpr std::int64_t kFlushMaxNs = 3 * kNsPerSecond;
constexpr std::int64_t kCloseMaxNs = 1 * kNsPerSecond;

}  // namespace

/// One endpoint's thread. A changed configuration gets a new Sender in the same thread, so that
/// there are never two for one place in the buffer.
class Delivery::Worker {
 public:
  Worker(const EndpointConfig& config, Buffer& buffer, EndpointStats& stats)
      : config_(config), buffer_(buffer), stats_(stats) {
    stats_.timeout_ns = std::chrono::nanoseconds(config.timeout).count();
    thread_ = std::thread([this] { run(); });
  }
  ~Worker() { thread_.join(); }

  const EndpointStats& stats() const { return stats_; }
  bool has_ended() const { return ended_; }

  /// False where the thread has ended.
  bool set(const EndpointConfig& config) {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    const bool was_removed = stats_.removed.exchange(false);
    if (config == config_ && !was_removed) return true;
    stats_.timeout_ns = std::chrono::nanoseconds(config.timeout).count();
    config_ = config;
    changed_ = true;
    if (sender_) sender_->stop_at(monotonic_ns());
    buffer_.interrupt(stats_.number, true);
    return true;
  }

  void remove() {
    stats_.removed = true;
    buffer_.end_endpoint(stats_.number);
  }

  /// Buffer::stop() must follow.
  void stop_at(std::int64_t deadline_ns) {
    const std::lock_guard lock(mutex_);
    stop_at_ns_ = deadline_ns;
    if (sender_) sender_->stop_at(deadline_ns);
  }

 private:
  void run() {
    do {
      const auto config = start_sender();
      sender_->run();
    } while (stop_sender());
  }

  /// The configuration that the sender refers to.
  std::unique_ptr<const EndpointConfig> start_sender() {
    const std::lock_guard lock(mutex_);
    auto config = std::make_unique<const EndpointConfig>(config_);
    changed_ = false;
    buffer_.interrupt(stats_.number, false);
    sender_ = std::make_unique<Sender>(*config, stats_.number, buffer_, stats_);
    if (stop_at_ns_ != 0) sender_->stop_at(stop_at_ns_);
    return config;
  }

  /// Whether there is to be another one.
  bool stop_sender() {
    const std::lock_guard lock(mutex_);
    sender_.reset();
    ended_ = !changed_ || stop_at_ns_ != 0;
    return !ended_;
  }

  std::mutex mutex_;
  EndpointConfig config_;
  bool changed_ = false;
  std::int64_t stop_at_ns_ = 0;
  std::unique_ptr<Sender> sender_;
  std::atomic<bool> ended_ = false;
  Buffer& buffer_;
  EndpointStats& stats_;
  std::thread thread_;
};

Delivery::Delivery(Buffer& buffer, AgentStats& stats)
    : buffer_(buffer), stats_(stats), disk_([&buffer] { buffer.run_disk(); }) {}

Delivery::~Delivery() = default;

void Delivery::set_endpoints(const std::vector<EndpointConfig>& endpoints) {
  for (auto& worker : workers_) {
    const auto& name = worker.stats().name;
    const bool stays =
        std::any_of(endpoints.begin(), endpoints.end(),
                    [&](const EndpointConfig& endpoint) { return endpoint.name() == name; });
    if (stays || worker.stats().removed) continue;
    log_info(cat(name, " is no longer in the configuration: ",
                 grouped(buffer_.state(worker.stats().number).samples),
                 " samples are still to be delivered to it"));
    worker.remove();
  }
  for (const auto& endpoint : endpoints) {
    const auto name = endpoint.name();
    const auto number = buffer_.add_endpoint(name);
    const auto found = std::find_if(workers_.begin(), workers_.end(), [&](const Worker& worker) {
      return worker.stats().name == name;
    });
    if (found != workers_.end() && found->set(endpoint)) continue;
    if (found != workers_.end()) workers_.erase(found);
    const auto known = std::find_if(stats_.endpoints.begin(), stats_.endpoints.end(),
                                    [&](const EndpointStats& stats) { return stats.name == name; });
    auto& stats =
        known != stats_.endpoints.end() ? *known : stats_.endpoints.emplace_back(name, number);
    stats.removed = false;
    workers_.emplace_back(endpoint, buffer_, stats);
  }
}

void Delivery::reap() {
  for (auto worker = workers_.begin(); worker != workers_.end();) {
    if (!worker->has_ended()) {
      ++worker;
      continue;
    }
    const auto* const stats = &worker->stats();
    log_info(cat(stats->name, ", which is no longer in the configuration, has got everything"));
    worker = workers_.erase(worker);
    buffer_.remove_endpoint(stats->number);
    stats_.endpoints.remove_if([&](const EndpointStats& other) { return &other == stats; });
  }
}

bool Delivery::stop() {
  const auto deadline_ns = monotonic_ns() + kFlushMaxNs;
  for (auto& worker : workers_) worker.stop_at(deadline_ns);
  buffer_.stop();
  workers_.clear();
  const bool closed = buffer_.close(monotonic_ns() + kCloseMaxNs);
  closed ? disk_.join() : disk_.detach();
  return closed;
}

}  // namespace msp
