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
#include "agent/relay/receiver.h"
#include "agent/run/memory_limit.h"
#include "agent/run/metrics_page.h"
#include "agent/run/open_files.h"

namespace msp::run {
namespace {

constexpr std::int64_t kEndNs = kNsPerSecond;  // nothing that the thread does waits for anything

bool answer_alike(const config::Config& a, const config::Config& b) {
  return a.listen == b.listen && a.collectors == b.collectors &&
         a.collector_options == b.collector_options && a.costly_interval == b.costly_interval &&
         a.series_max == b.series_max && a.relabel == b.relabel && a.metrics == b.metrics;
}

/// Of a page. Two may be read at once, and an agent that sends has the series of its ticks as well.
std::size_t page_series_max(const config::Config& config) {
  const auto memory = memory_limit();
  const auto share = config.endpoints.empty() ? 2 : 4;
  return memory ? std::min(config.series_max, series_that_fit(*memory) / share) : config.series_max;
}

/// Without clients everybody is one.
std::vector<relay::Receiver::Client> clients_of(const config::ListenConfig& listen) {
  std::vector<relay::Receiver::Client> clients;
  for (std::size_t i = 0; i < listen.clients.size(); ++i) {
    clients.push_back({listen.clients[i].name(i), listen.clients[i].labels});
  }
  if (clients.empty()) clients.emplace_back();
  return clients;
}

/// Nobody gets further who is no client; then the path says which way. `page` and `receiver` may be
/// null.
class Gate final : public listen::RequestHandler {
 public:
  Gate(const std::vector<config::ListenClient>& clients, listen::RequestHandler* page,
       listen::RequestHandler* receiver)
      : login_({clients.begin(), clients.end()}), page_(page), receiver_(receiver) {}

  std::optional<listen::HttpReply> refuse(listen::HttpRequestHead& head,
                                          std::size_t& body_bytes_max) override {
    auto refused = login_.refuse(head);
    if (refused) return refused;
    auto* const inner = find(head);
    return inner ? inner->refuse(head, body_bytes_max)
                 : listen::text_reply(404, "404 page not found");
  }
  void on_refused(const listen::HttpRequestHead& head, int status) override {
    find(head)->on_refused(head, status);
  }
  void handle(const listen::HttpRequestHead& head, std::string& body, listen::ReplyTo to,
              listen::Server& server) override {
    find(head)->handle(head, body, to, server);
  }
  void work(listen::Server& server) override {
    for (auto* const inner : {page_, receiver_}) {
      if (inner != nullptr) inner->work(server);
    }
  }
  std::int64_t due_ns() const override {
    auto due_ns = kNeverNs;
    for (const auto* const inner : {page_, receiver_}) {
      if (inner != nullptr) due_ns = std::min(due_ns, inner->due_ns());
    }
    return due_ns;
  }

 private:
  listen::RequestHandler* find(const listen::HttpRequestHead& head) const {
    return receiver_ != nullptr && relay::Receiver::has_path(head.path) ? receiver_ : page_;
  }

  listen::ClientLogin login_;
  listen::RequestHandler* const page_;
  listen::RequestHandler* const receiver_;
};

}  // namespace

/// Shared with the thread.
struct Listener::Running {
  Running(const config::Config& config, const Setup& setup, std::shared_ptr<const Wakeup> wakeup)
      : page({.collectors = config.collectors,
              .paths = setup.paths,
              .options = config.collector_options,
              .costly_interval = config.costly_interval,
              .series_max = page_series_max(config),
              .relabel = config.relabel_of(),
              .wakeup = wakeup,
              .on_health_change = setup.on_health_change}),
        receiver(config.listen.receive && setup.queue != nullptr
                     ? std::make_unique<relay::Receiver>(
                           relay::Receiver::Setup{.queue = *setup.queue,
                                                  .clients = clients_of(config.listen),
                                                  .path = setup.path,
                                                  .stats = received})
                     : nullptr),
        gate(config.listen.clients, config.listen.metrics ? &page : nullptr, receiver.get()),
        server({.address = *listen::parse_listen_address(config.listen.address),
                .tls = config.listen.tls,
                .wakeup = wakeup,
                .connections_max = connections_max(config),
                .stats = stats},
               gate) {}

  void run(const StopToken& token) {
    const StopCallback wake(token, [this] { server.wakeup()->wake(); });
    while (!token.stop_requested()) server.step(kNeverNs);
  }

  const std::shared_ptr<listen::ServerStats> stats = std::make_shared<listen::ServerStats>();
  const std::shared_ptr<relay::ReceiverStats> received = std::make_shared<relay::ReceiverStats>();
  MetricsPage page;
  const std::unique_ptr<relay::Receiver> receiver;
  Gate gate;
  listen::Server server;
  StopSource stop;
  Thread thread;
};

Result<void> Listener::set(const config::Config& config) {
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

std::shared_ptr<const relay::ReceiverStats> Listener::received() const {
  return running_ && running_->receiver ? running_->received : nullptr;
}

std::optional<ListenReport> Listener::report() const {
  if (!running_) return std::nullopt;
  const auto& stats = *running_->stats;
  ListenReport report{.address = config_.listen.address,
                      .is_listening = stats.is_listening,
                      .is_open = config_.listen.is_open(),
                      .receives = running_->receiver != nullptr,
                      .connections = stats.connections,
                      .requests = stats.requests,
                      .refused = stats.refused,
                      .not_after_s = stats.not_after_s,
                      .loop_ms = running_->received->loop_ms};
  for (const auto& client : running_->received->clients) {
    report.clients.push_back({client.name, client.last_seen_ms, client.samples,
                              client.samples_skipped, client.all_refused()});
  }
  return report;
}

void Listener::stop() {
  if (!running_) return;
  const auto deadline_ns = monotonic_ns() + kEndNs;
  running_->stop.request_stop(deadline_ns);
  running_->thread.join_until(deadline_ns);
  running_.reset();
}

}  // namespace msp::run
