#include "agent/run/listener.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/stop_token.h"
#include "agent/base/thread.h"
#include "agent/listen/client_login.h"
#include "agent/listen/server.h"
#include "agent/run/memory_limit.h"
#include "agent/run/metrics_page.h"

namespace msp {
namespace {

constexpr std::int64_t kEndNs = kNsPerSecond;  // nothing that the thread does waits for anything

bool answer_alike(const Config& a, const Config& b) {
  return a.listen == b.listen && a.collectors == b.collectors &&
         a.collector_options == b.collector_options && a.costly_interval == b.costly_interval &&
         a.series_max == b.series_max && a.relabel == b.relabel && a.metrics == b.metrics;
}

/// Of a page. Two may be read at once, and an agent that sends has the series of its ticks as well.
std::size_t page_series_max(const Config& config) {
  const auto memory = memory_limit();
  const auto share = config.endpoints.empty() ? 2 : 4;
  return memory ? std::min(config.series_max, series_that_fit(*memory) / share) : config.series_max;
}

/// Nobody gets further who is no client.
class Gate final : public RequestHandler {
 public:
  Gate(std::vector<HttpOptions> clients, RequestHandler& inner)
      : login_(std::move(clients)), inner_(inner) {}

  std::optional<HttpReply> refuse(const HttpRequestHead& head,
                                  std::size_t& body_bytes_max) override {
    auto refused = login_.refuse(head);
    return refused ? refused : inner_.refuse(head, body_bytes_max);
  }
  void handle(const HttpRequestHead& head, std::string& body, ReplyTo to, Server& server) override {
    inner_.handle(head, body, to, server);
  }
  void work(Server& server) override { inner_.work(server); }
  std::int64_t due_ns() const override { return inner_.due_ns(); }

 private:
  ClientLogin login_;
  RequestHandler& inner_;
};

}  // namespace

/// Shared with the thread.
struct Listener::Running {
  Running(const Config& config, const Setup& setup, std::shared_ptr<const Wakeup> wakeup)
      : page({.collectors = config.collectors,
              .paths = setup.paths,
              .options = config.collector_options,
              .costly_interval = config.costly_interval,
              .series_max = page_series_max(config),
              .relabel = config.relabel_of(),
              .wakeup = wakeup,
              .on_health_change = setup.on_health_change}),
        gate(config.listen.clients, page),
        server({.address = *parse_listen_address(config.listen.address),
                .tls = config.listen.tls,
                .wakeup = wakeup,
                .stats = stats},
               gate) {}

  void run(const StopToken& token) {
    const StopCallback wake(token, [this] { server.wakeup()->wake(); });
    while (!token.stop_requested()) server.step(kNeverNs);
  }

  const std::shared_ptr<ServerStats> stats = std::make_shared<ServerStats>();
  MetricsPage page;
  Gate gate;
  Server server;
  StopSource stop;
  Thread thread;
};

Result<void> Listener::set(const Config& config) {
  if (running_ && answer_alike(config, config_)) return {};
  stop();
  if (config.listen.address.empty()) return {};
  config_ = config;
  auto running = std::make_shared<Running>(config, setup_, std::make_shared<const Wakeup>());
  const auto listening = running->server.listen();
  auto thread = Thread::start(
      "what is asked for at listen.address",
      [running, token = running->stop.token()] { running->run(token); }, setup_.on_thread_failure);
  if (!thread) return thread.error();
  running->thread = std::move(*thread);
  running_ = std::move(running);
  return listening;
}

std::optional<ListenReport> Listener::report() const {
  if (!running_) return std::nullopt;
  const auto& stats = *running_->stats;
  return ListenReport{config_.listen.address, stats.is_listening, stats.connections, stats.requests,
                      stats.refused};
}

void Listener::stop() {
  if (!running_) return;
  const auto deadline_ns = monotonic_ns() + kEndNs;
  running_->stop.request_stop(deadline_ns);
  running_->thread.join_until(deadline_ns);
  running_.reset();
}

}  // namespace msp
