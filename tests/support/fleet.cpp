// Many agents in one process, for tests of what a fleet does to its centre: each has the agent's
// own Schedule, Queue (on disk, in a folder of its own), Spiller and Delivery; only the collectors are left
// out, the scrapes are made up.
//
//   fleet URL FOLDER AGENTS SERIES INTERVAL_S [CA_FILE BEARER_TOKEN]
//
// Prints a line per second, "SECOND APPENDED DELIVERED WAITING REQUESTS" (samples in all, samples
// in all, samples, requests in all), until SIGTERM; then no agent ticks any more, and it ends when
// nothing is waiting.
#include <malloc.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/stop_token.h"
#include "agent/base/text.h"
#include "agent/base/thread.h"
#include "agent/delivery/delivery.h"
#include "agent/queue/queue.h"
#include "agent/queue/spiller.h"
#include "agent/sources/schedule.h"

namespace {

using namespace msp;

volatile std::sig_atomic_t g_stopping = 0;

constexpr metrics::MetricDesc kFamily{"fleet_value", "Made up.", "", metrics::MetricType::gauge,
                                      "n"};

class Agent {
 public:
  Agent(const config::EndpointConfig& endpoint, const std::string& folder, int number, int series,
        std::chrono::seconds interval)
      : schedule_(interval, cat("fleet/", number), wall_ns(), clock_ns(CLOCK_BOOTTIME)) {
    queue::Queue::Options options;
    options.folder = options.wal_folder = cat(folder, "/", number);
    auto queue = queue::Queue::open(std::move(options));
    if (!queue) fail(queue.error());
    queue_ = std::move(*queue);
    metrics::SeriesSet set;
    for (int i = 0; i < series; ++i) {
      set.push_back(std::make_shared<const metrics::Series>(
          metrics::Series{metrics::Labels({{"__name__", std::string(kFamily.name)},
                                           {"n", std::to_string(i)},
                                           {"server_name", cat("agent-", number)}}),
                          &kFamily}));
    }
    series_ = std::make_shared<const metrics::SeriesSet>(std::move(set));
    delivery_ = std::make_unique<delivery::Delivery>(delivery::Delivery::Setup{
        *queue_, stats_, [](const std::string& reason) { fail({reason}); },
        delivery::connect_over_http});
    config::Config config;
    config.interval = interval;
    config.endpoints = {endpoint};
    if (auto started = delivery_->set_endpoints(config); !started) fail(started.error());
    spiller_ = std::make_unique<queue::Spiller>(*queue_);
    auto disk = Thread::start(
        "the disk", [this] { spiller_->run(stop_disk_.token()); },
        [](const std::string& reason) { fail({reason}); });
    if (!disk) fail(disk.error());
    disk_ = std::move(*disk);
  }

  ~Agent() {
    const auto deadline_ns = monotonic_ns() + 5 * kNsPerSecond;
    const bool sent = delivery_->stop(monotonic_ns());
    stop_disk_.request_stop(deadline_ns);
    if (!disk_.join_until(deadline_ns) || !sent) fail({"a thread hangs"});
  }

  std::int64_t due_ns() const { return schedule_.due_ns(); }

  void tick() {
    schedule_.tick(clock_ns(CLOCK_BOOTTIME));
    metrics::Scrape scrape{wall_ns() / kNsPerMs, series_, {}};
    for (std::size_t i = 0; i < series_->size(); ++i) {
      scrape.values.push_back(static_cast<double>(appended_ + i));
    }
    appended_ += scrape.values.size();
    queue_->append(std::move(scrape));
  }

  std::uint64_t appended() const { return appended_; }
  std::uint64_t waiting() const { return queue_->state(0).samples; }
  const delivery::EndpointStats& stats() const { return stats_.endpoints.front(); }

 private:
  [[noreturn]] static void fail(const Error& error) {
    std::fprintf(stderr, "fleet: %s\n", error.text.c_str());
    std::_Exit(1);
  }

  delivery::AgentStats stats_;
  sources::Schedule schedule_;
  std::shared_ptr<const metrics::SeriesSet> series_;
  std::uint64_t appended_ = 0;
  std::unique_ptr<queue::Queue> queue_;
  std::unique_ptr<delivery::Delivery> delivery_;
  std::unique_ptr<queue::Spiller> spiller_;
  StopSource stop_disk_;
  Thread disk_;
};

/// Whether anything is waiting.
bool print_line(std::int64_t second, const std::deque<Agent>& agents) {
  std::uint64_t appended = 0;
  std::uint64_t delivered = 0;
  std::uint64_t waiting = 0;
  std::uint64_t requests = 0;
  for (const auto& agent : agents) {
    appended += agent.appended();
    delivered += agent.stats().samples_sent;
    waiting += agent.waiting();
    requests += agent.stats().requests;
  }
  std::printf("%lld %llu %llu %llu %llu\n", static_cast<long long>(second),
              static_cast<unsigned long long>(appended), static_cast<unsigned long long>(delivered),
              static_cast<unsigned long long>(waiting), static_cast<unsigned long long>(requests));
  std::fflush(stdout);
  return waiting > 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 && argc != 8) {
    std::fprintf(stderr,
                 "usage: fleet URL FOLDER AGENTS SERIES INTERVAL_S [CA_FILE BEARER_TOKEN]\n");
    return 2;
  }
  mallopt(M_ARENA_MAX, 1);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTERM, [](int) { g_stopping = 1; });
  http::init_http();

  config::EndpointConfig endpoint;
  endpoint.url = argv[1];
  // Debian's VictoriaMetrics takes no zstd: each agent would ask it for the order after the outage.
  endpoint.order = config::Order::fresh_first;
  if (argc > 6) {
    endpoint.tls.ca_file = argv[6];
    endpoint.bearer_token = argv[7];
  }
  const int count = std::atoi(argv[3]);
  const std::chrono::seconds interval(std::atoi(argv[5]));
  std::deque<Agent> agents;
  using Due = std::pair<std::int64_t, Agent*>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due;
  for (int i = 0; i < count; ++i) {
    auto& agent = agents.emplace_back(endpoint, argv[2], i, std::atoi(argv[4]), interval);
    due.emplace(agent.due_ns(), &agent);
  }

  const auto began_ns = clock_ns(CLOCK_BOOTTIME);
  for (std::int64_t second = 1;; ++second) {
    const auto line_ns = began_ns + second * kNsPerSecond;
    for (;;) {
      const auto now_ns = clock_ns(CLOCK_BOOTTIME);
      if (now_ns >= line_ns) break;
      const auto next_ns = g_stopping != 0 ? line_ns : std::min(line_ns, due.top().first);
      if (next_ns > now_ns) {
        std::this_thread::sleep_for(std::chrono::nanoseconds(next_ns - now_ns));
        continue;
      }
      auto* const agent = due.top().second;
      due.pop();
      agent->tick();
      due.emplace(agent->due_ns(), agent);
    }
    if (!print_line(second, agents) && g_stopping != 0) return 0;
  }
}
