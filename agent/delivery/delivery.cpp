#include "agent/delivery/delivery.h"

#include <strings.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "agent/base/log.h"
#include "agent/base/stop_token.h"
#include "agent/base/text.h"
#include "agent/base/thread.h"
#include "agent/queue/format.h"

namespace msp::delivery {
namespace {

// For a thread to come back from what its deadline has ended.
constexpr std::int64_t kGraceNs = 500 * kNsPerMs;

/// Ends a wait of one thread. Shared with the queue, which may call it for a moment longer than the
/// thread is there.
struct WakeFlag {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_wanted = false;

  void wake() {
    {
      const std::lock_guard lock(mutex);
      is_wanted = true;
    }
    changed.notify_one();
  }
};

}  // namespace

/// One endpoint's thread. A changed configuration gets a new Sender in the same thread, so that
/// there are never two for one place in the queue. The thread owns it as well: one that hangs and is
/// let go of is freed when it ends after all.
class Delivery::Worker : public std::enable_shared_from_this<Worker> {
 public:
  Worker(const Setup& setup, Sender::Setup sender, std::string identity,
         std::shared_ptr<WakeFlag> wakeup)
      : setup_(setup),
        identity_(std::move(identity)),
        wakeup_(std::move(wakeup)),
        config_(std::move(sender)),
        stats_(config_.stats),
        stop_(std::make_shared<StopSource>(setup.clock)) {}

  Result<void> start() {
    auto thread = Thread::start(
        stats_.name, [self = shared_from_this()] { self->run(); }, setup_.on_thread_failure);
    if (!thread) return thread.error();
    thread_ = std::move(*thread);
    return {};
  }

  const std::string& identity() const { return identity_; }
  EndpointStats& stats() const { return stats_; }
  /// It has got everything, and its thread uses nothing any more.
  bool has_ended() const { return ended_ && thread_.has_ended(); }

  /// False where the thread has ended.
  bool set(const Sender::Setup& config) {
    std::shared_ptr<StopSource> before;
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return false;
      const bool was_removed = stats_.removed.exchange(false);
      if (config.endpoint == config_.endpoint && config.interval == config_.interval &&
          !was_removed) {
        return true;
      }
      config_.endpoint = config.endpoint;
      config_.interval = config.interval;
      before = std::exchange(stop_, std::make_shared<StopSource>(setup_.clock));
      generation_ += 1;
    }
    before->request_stop(setup_.clock.monotonic_ns());
    wakeup_->wake();
    return true;
  }

  /// No new entries come: it ends when it has delivered what is kept.
  void remove() {
    stats_.removed = true;
    setup_.queue.end_consumer(stats_.number);
    wakeup_->wake();
  }

  void request_stop(std::int64_t deadline_ns) {
    std::shared_ptr<StopSource> stop;
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
      stop = stop_;
    }
    stop->request_stop(deadline_ns);
    wakeup_->wake();
  }

  bool join_until(std::int64_t deadline_ns) { return thread_.join_until(deadline_ns); }

  /// Takes its stats out of the list, as long as it lives.
  void take_stats(std::list<EndpointStats>& all) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& each) { return &each == &stats_; });
    own_stats_.splice(own_stats_.end(), all, found);
  }

 private:
  void run() {
    while (run_sender()) {
    }
  }

  /// Whether there is to be another sender.
  bool run_sender() {
    std::unique_lock lock(mutex_);
    const auto config = config_;
    const auto generation = generation_.load();
    const auto token = stop_->token();
    lock.unlock();
    const auto endpoint = config.endpoint;  // the requests refer to it
    Sender sender(config, setup_.connect(endpoint, token), token);
    const auto condition = [&] { return std::pair(stats_.state.load(), sender.has_backlog()); };
    auto told = condition();
    for (;;) {
      const bool is_last_try = token.stop_requested();
      if (is_last_try && (generation_ != generation || token.time_is_up())) break;
      const auto next = sender.step();
      if (const auto now = condition(); now != std::exchange(told, now)) setup_.on_state_change();
      if (is_last_try && (!next.made_progress || next.is_idle)) break;
      if (next.is_idle && stats_.removed) break;
      std::unique_lock wait(wakeup_->mutex);
      while (!std::exchange(wakeup_->is_wanted, false) &&
             setup_.clock.monotonic_ns() < next.due_ns) {
        setup_.clock.wait(wait, wakeup_->changed, next.due_ns);
      }
    }
    lock.lock();
    ended_ = is_stopping_ || generation_ == generation;
    return !ended_;
  }

  const Setup& setup_;
  const std::string identity_;
  const std::shared_ptr<WakeFlag> wakeup_;
  std::mutex mutex_;
  bool is_stopping_ = false;
  Sender::Setup config_;
  std::atomic<std::uint64_t> generation_ = 0;  // of config_
  EndpointStats& stats_;
  std::list<EndpointStats> own_stats_;  // those, once they are in no other list
  std::shared_ptr<StopSource> stop_;    // of the sender of config_
  std::atomic<bool> ended_ = false;
  Thread thread_;
};

std::string endpoint_identity(const config::Config& config,
                              const config::EndpointConfig& endpoint) {
  auto identity = cat(config.customer_id, " ",
                      endpoint.label.empty() ? endpoint.name() : cat("name:", endpoint.label));
  for (const auto& [name, value] : endpoint.headers) {
    const auto is = [&](std::string_view other) {
      return name.size() == other.size() &&
             ::strncasecmp(name.data(), other.data(), name.size()) == 0;
    };
    if (!is("X-Scope-OrgID") && !is("AccountID") && !is("ProjectID")) continue;
    queue::ContentHash hash;  // for the value may be a secret
    hash.add(value);
    identity += cat(" ", name, "#", hash.value() % 1'000'000'007);
  }
  return identity;
}

RemoteWriteClient::Post connect_over_http(const config::EndpointConfig& endpoint,
                                          const StopToken& stop) {
  const auto client = std::make_shared<http::HttpClient>(endpoint, stop);
  return [client](std::string_view body, const std::vector<std::string>& headers) {
    return client->send({.method = "POST", .headers = headers, .body = body});
  };
}

Delivery::Delivery(Setup setup) : setup_(std::move(setup)) {}

Delivery::~Delivery() {
  if (!workers_.empty()) stop(setup_.clock.monotonic_ns());
}

Result<void> Delivery::set_endpoints(const config::Config& config) {
  auto& queue = setup_.queue;
  auto& all_stats = setup_.stats.endpoints;
  const bool is_reload = !workers_.empty();
  // Threads first: where one cannot be started nothing else has changed.
  std::list<std::shared_ptr<Worker>> added;
  for (const auto& endpoint : config.endpoints) {
    const auto identity = endpoint_identity(config, endpoint);
    const auto found = std::find_if(workers_.begin(), workers_.end(), [&](const auto& worker) {
      return worker->identity() == identity;
    });
    if (found != workers_.end()) {
      const Sender::Setup changed{
          endpoint,          config.interval, queue, (*found)->stats().number,
          (*found)->stats(), setup_.clock};
      if ((*found)->set(changed)) continue;
      queue.remove_consumer((*found)->stats().number);
      (*found)->take_stats(all_stats);
      workers_.erase(found);
    }
    const auto wakeup = std::make_shared<WakeFlag>();
    const auto number = queue.add_consumer(identity, [wakeup] { wakeup->wake(); });
    auto& stats = all_stats.emplace_back(endpoint.name(), number);
    auto worker = std::make_shared<Worker>(
        setup_, Sender::Setup{endpoint, config.interval, queue, number, stats, setup_.clock},
        identity, wakeup);
    const auto started = worker->start();
    added.push_back(std::move(worker));
    if (started) continue;
    for (auto& other : added) other->request_stop(setup_.clock.monotonic_ns());
    for (auto& other : added) {
      other->join_until(setup_.clock.monotonic_ns() + kGraceNs);
      queue.remove_consumer(other->stats().number);
      other->take_stats(all_stats);
    }
    return started.error();
  }
  for (auto& worker : workers_) {
    const bool stays =
        std::any_of(config.endpoints.begin(), config.endpoints.end(),
                    [&](const config::EndpointConfig& endpoint) {
                      return endpoint_identity(config, endpoint) == worker->identity();
                    });
    if (stays || worker->stats().removed) continue;
    log_info(cat(worker->stats().name, " is no longer in the configuration: ",
                 grouped(queue.state(worker->stats().number).samples),
                 " samples are still to be delivered to it"));
    worker->remove();
  }
  for (auto& worker : added) {
    if (is_reload) {
      log_info(cat(worker->stats().name, " is new: it gets what is collected from now on"));
    }
    workers_.push_back(std::move(worker));
  }
  return {};
}

void Delivery::reap() {
  for (auto at = workers_.begin(); at != workers_.end();) {
    auto& worker = **at;
    if (!worker.has_ended()) {
      ++at;
      continue;
    }
    log_info(
        cat(worker.stats().name, ", which is no longer in the configuration, has got everything"));
    setup_.queue.remove_consumer(worker.stats().number);
    worker.take_stats(setup_.stats.endpoints);
    at = workers_.erase(at);
  }
}

bool Delivery::stop(std::int64_t deadline_ns) {
  for (auto& worker : workers_) worker->request_stop(deadline_ns);
  bool all_ended = true;
  for (auto& worker : workers_) {
    if (!worker->join_until(deadline_ns + kGraceNs)) all_ended = false;
  }
  workers_.clear();
  return all_ended;
}

}  // namespace msp::delivery
