#include "agent/http/transfers.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/base/thread.h"
#include "agent/http/auth.h"
#include "agent/http/connection.h"
#include "agent/http/journey.h"
#include "agent/http/url.h"

namespace msp::http {
namespace {

using OptionsPtr = std::shared_ptr<const HttpOptions>;

constexpr int kSleepMs = 3'600'000;  // it is woken, and libcurl's own timers count
constexpr std::int64_t kStopNs = kNsPerSecond;

HttpAnswer failed_answer(const Error& error) {
  HttpAnswer answer;
  answer.error = error.text;
  answer.is_own_fault = true;
  return answer;
}

}  // namespace

/// One request of a peer.
struct Transfers::Exchange {
  const OptionsPtr options;
  HttpRequest request;
  const std::string body;
  // Under the mutex of all.
  bool is_given_up = false;
  bool has_ended = false;
  Outcome outcome = {};
};

/// What the thread and whoever uses it share.
struct Transfers::Shared {
  explicit Shared(Setup of) : setup(std::move(of)), multi(curl_multi_init()) {
    if (multi == nullptr) throw std::bad_alloc();
  }
  ~Shared() { curl_multi_cleanup(multi); }

  const Setup setup;
  CURLM* const multi;
  Thread thread;  // of the user
  bool has_thread = false;

  std::mutex mutex;
  std::vector<std::shared_ptr<Exchange>> begun;
  std::vector<OptionsPtr> dropped;  // of peers that are gone
  bool is_stopping = false;

  void wake() { curl_multi_wakeup(multi); }
};

namespace {

/// The thread's own.
template <typename Shared, typename Exchange>
class Loop {
 public:
  explicit Loop(Shared& shared) : shared_(shared), clock_(shared.setup.clock) {
    budget_.bytes_max = shared.setup.bodies_bytes_max;
  }
  ~Loop() {
    for (auto& peer : peers_) leave(*peer);
  }

  void run() {
    while (take_orders()) {
      int running = 0;
      curl_multi_perform(shared_.multi, &running);
      int left = 0;
      while (const auto* const message = curl_multi_info_read(shared_.multi, &left)) {
        if (message->msg == CURLMSG_DONE) on_done(message->easy_handle, message->data.result);
      }
      for (auto& peer : peers_) {
        if (peer->is_in_task) step_task(*peer);
        if (peer->handle == nullptr) continue;
        const bool is_late = clock_.monotonic_ns() >= peer->journey->deadline().at_ns;
        if (is_late) on_done(peer->handle, CURLE_OPERATION_TIMEDOUT);
      }
      std::erase_if(peers_,
                    [](const auto& peer) { return peer->exchange == nullptr && peer->is_once; });
      wait();
    }
  }

 private:
  /// Of one peer, as long as that lives.
  struct Peer {
    Peer(OptionsPtr of, const Clock& clock)
        : options(std::move(of)),
          home(parse_url(options->url)),
          connection(*options, {}, true, clock) {}

    const OptionsPtr options;
    const Url home;
    Connection connection;
    // Of the request under way.
    std::shared_ptr<Exchange> exchange = nullptr;
    CURL* handle = nullptr;  // in the multi handle
    bool is_once = false;    // it goes with its request
    bool is_in_task = false;
    std::int64_t task_begun_ns = 0;
    Login login = {};
    std::optional<Journey> journey = std::nullopt;
    HttpTrace trace = {};
    IpFamily ip = IpFamily::any;
  };

  bool take_orders() {
    std::vector<std::shared_ptr<Exchange>> begun;
    std::vector<OptionsPtr> dropped;
    {
      const std::lock_guard lock(shared_.mutex);
      if (shared_.is_stopping) return false;
      begun.swap(shared_.begun);
      dropped.swap(shared_.dropped);
      for (auto& peer : peers_) {
        if (peer->exchange != nullptr && peer->exchange->is_given_up) leave(*peer);
      }
    }
    for (const auto& options : dropped) {
      std::erase_if(peers_, [&](const auto& peer) {
        if (peer->options != options) return false;
        leave(*peer);
        return true;
      });
    }
    for (auto& exchange : begun) begin(std::move(exchange));
    return true;
  }

  /// Until a socket, the user or a deadline wants something.
  void wait() {
    sockets_.clear();
    std::int64_t wait_ms = has_news_ ? 0 : kSleepMs;
    for (const auto& peer : peers_) {
      if (!peer->is_in_task) continue;
      const auto& task = *peer->exchange->request.task;
      const short events = task.waits_to_write() ? CURL_WAIT_POLLOUT : CURL_WAIT_POLLIN;
      sockets_.push_back({task.fd(), events, 0});
      const auto left_ns =
          std::max<std::int64_t>(peer->journey->deadline().at_ns - clock_.monotonic_ns(), 0);
      wait_ms = std::min(wait_ms, left_ns / kNsPerMs + 1);
    }
    curl_multi_poll(shared_.multi, sockets_.data(), static_cast<unsigned>(sockets_.size()),
                    static_cast<int>(wait_ms), nullptr);
    has_news_ = false;
  }

  void begin_task(Peer& peer) {
    peer.task_begun_ns = clock_.monotonic_ns();
    auto begun = peer.exchange->request.task->begin(peer.connection.address());
    if (!begun) return end(peer, failed_answer(begun.error()));
    peer.is_in_task = true;
    step_task(peer);
  }

  void step_task(Peer& peer) {
    const bool is_over = peer.exchange->request.task->step();
    const auto& deadline = peer.journey->deadline();
    const auto now_ns = clock_.monotonic_ns();
    if (!is_over && now_ns < deadline.at_ns) return;
    HttpAnswer answer;
    if (!is_over) {
      answer.error = cat("no answer within ", duration_text(deadline.allowed.count() * kNsPerMs));
    }
    peer.trace.task_us = (now_ns - peer.task_begun_ns) / 1000;
    peer.trace.took_us += peer.trace.task_us;
    end(peer, std::move(answer));
  }

  Peer& peer_of(const OptionsPtr& options) {
    for (auto& peer : peers_) {
      if (peer->options == options) return *peer;
    }
    return *peers_.emplace_back(std::make_unique<Peer>(options, clock_));
  }

  void begin(std::shared_ptr<Exchange> exchange) {
    auto& peer = peer_of(exchange->options);
    leave(peer);
    peer.exchange = std::move(exchange);
    peer.is_once = peer.exchange->request.is_probe;
    peer.ip = peer.exchange->request.preferred_ip;
    auto login = log_in(*peer.options);
    if (!login) return end(peer, failed_answer(login.error()));
    peer.login = std::move(*login);
    peer.trace = {};
    peer.journey.emplace(*peer.options, peer.home, peer.exchange->request, peer.login, clock_);
    go(peer);
  }

  void go(Peer& peer) {
    auto& journey = *peer.journey;
    auto to = journey.to();
    to.ip = peer.ip;
    auto begun = peer.connection.begin(peer.exchange->request, to, peer.login, journey.deadline(),
                                       &peer.trace, &budget_);
    if (!begun) return end(peer, failed_answer(begun.error()));
    peer.handle = peer.connection.handle();
    has_news_ = true;
    if (curl_multi_add_handle(shared_.multi, peer.handle) != CURLM_OK)
      on_done(peer.handle, CURLE_OUT_OF_MEMORY);
  }

  void on_done(CURL* handle, CURLcode code) {
    const auto found = std::find_if(peers_.begin(), peers_.end(),
                                    [&](const auto& peer) { return peer->handle == handle; });
    if (found == peers_.end()) return;
    auto& peer = **found;
    curl_multi_remove_handle(shared_.multi, handle);
    peer.handle = nullptr;
    auto answer = peer.connection.end(code);
    if (peer.is_once) peer.connection.start_over();
    if (peer.connection.address().size != 0) return begin_task(peer);
    // libcurl resolves an address to itself whatever the family is, and then has none to try.
    const bool has_none = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT;
    const bool has_other_ip = has_none && peer.trace.home_address.empty() &&
                              peer.ip != IpFamily::any &&
                              peer.ip == peer.exchange->request.preferred_ip;
    if (has_other_ip) {
      peer.ip = peer.ip == IpFamily::ip4 ? IpFamily::ip6 : IpFamily::ip4;
      return go(peer);
    }
    const bool goes_on = peer.journey->goes_on(answer);
    peer.trace.redirects = peer.journey->redirects();
    if (goes_on) return go(peer);
    if (answer.status < 200 || answer.status >= 300) peer.connection.start_over();
    end(peer, std::move(answer));
  }

  void end(Peer& peer, HttpAnswer answer) {
    {
      const std::lock_guard lock(shared_.mutex);
      peer.exchange->has_ended = true;
      peer.exchange->outcome = {std::move(answer), std::move(peer.trace)};
    }
    forget(peer);
    shared_.setup.wakeup->wake();
  }

  /// Without an answer.
  void leave(Peer& peer) {
    if (peer.handle != nullptr) {
      curl_multi_remove_handle(shared_.multi, peer.handle);
      peer.handle = nullptr;
      static_cast<void>(peer.connection.end(CURLE_ABORTED_BY_CALLBACK));
      peer.connection.start_over();
    }
    forget(peer);
  }

  void forget(Peer& peer) {
    peer.is_in_task = false;
    peer.journey.reset();
    peer.login = {};
    peer.exchange = nullptr;
  }

  Shared& shared_;
  const Clock& clock_;
  BodyBudget budget_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<curl_waitfd> sockets_;  // of tasks
  bool has_news_ = false;
};

}  // namespace

Transfers::Transfers(Setup setup) : shared_(std::make_shared<Shared>(std::move(setup))) {}

Transfers::~Transfers() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->is_stopping = true;
  }
  shared_->wake();
  static_cast<void>(shared_->thread.join_until(monotonic_ns() + kStopNs));
  shared_->thread = {};
}

std::unique_ptr<Transfers::Peer> Transfers::peer(HttpOptions options) {
  return std::make_unique<Peer>(*this, std::move(options));
}

Transfers::Peer::Peer(Transfers& transfers, HttpOptions options)
    : shared_(transfers.shared_),
      options_(std::make_shared<const HttpOptions>(std::move(options))) {}

Transfers::Peer::~Peer() {
  {
    const std::lock_guard lock(shared_->mutex);
    if (exchange_ != nullptr) exchange_->is_given_up = true;
    shared_->dropped.push_back(options_);
  }
  shared_->wake();
}

Result<void> Transfers::Peer::start(HttpRequest request, std::string body) {
  auto exchange =
      std::make_shared<Exchange>(Exchange{options_, std::move(request), std::move(body)});
  exchange->request.body = exchange->body;
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->is_stopping) return failed("the agent stops");
    if (exchange_ != nullptr) exchange_->is_given_up = true;
    exchange_ = exchange;
    shared_->begun.push_back(std::move(exchange));
  }
  if (!shared_->has_thread) {
    auto thread = Thread::start(
        "scrapes", [shared = shared_] { Loop<Shared, Exchange>(*shared).run(); },
        shared_->setup.on_thread_failure);
    if (!thread) return thread.error();
    shared_->thread = std::move(*thread);
    shared_->has_thread = true;
  }
  shared_->wake();
  return {};
}

bool Transfers::Peer::is_running() const {
  const std::lock_guard lock(shared_->mutex);
  return exchange_ != nullptr && !exchange_->has_ended;
}

std::optional<Transfers::Outcome> Transfers::Peer::take() {
  const std::lock_guard lock(shared_->mutex);
  if (exchange_ == nullptr || !exchange_->has_ended) return std::nullopt;
  auto outcome = std::move(exchange_->outcome);
  exchange_ = nullptr;
  return outcome;
}

const HttpOptions& Transfers::Peer::options() const {
  return *options_;
}

}  // namespace msp::http
