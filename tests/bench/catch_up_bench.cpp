// How fast a backlog gets to a real receiver, and what it costs the agent.
//
//   catch_up_bench URL [HOURS [PROTOCOL]]     PROTOCOL: auto (default) prometheus-1.0
//   prometheus-2.0
//
// Fills a queue on disk with that many hours (24) of a model host at 15 s, as an outage leaves it,
// and lets the agent's own Delivery deliver it with catch_up_rate unlimited. The random wait before a
// backlog begins is not counted; the rests between requests are.
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/delivery/delivery.h"
#include "agent/queue/queue.h"
#include "agent/queue/spiller.h"
#include "tests/bench/host_model.h"

namespace {

using namespace msp;

constexpr int kScrapesPerHour = 240;

std::unique_ptr<queue::Queue> open(const std::string& folder, const config::Config& config) {
  queue::Queue::Options options;
  options.folder = options.wal_folder = folder;
  auto queue = queue::Queue::open(std::move(options));
  if (!queue) {
    std::fprintf(stderr, "catch_up_bench: %s\n", queue.error().text.c_str());
    std::exit(1);
  }
  (*queue)->add_consumer(delivery::endpoint_identity(config, config.endpoints.front()));
  return std::move(*queue);
}

void fill(queue::Queue& queue, int scrapes) {
  queue::Spiller spiller(queue);
  bench::HostModel model({.cpus = 4, .disks = 2, .devices = 2, .filesystems = 4});
  const auto first_ms = wall_ns() / kNsPerMs - std::int64_t{scrapes} * 15'000;
  for (int i = 0; i < scrapes; ++i) {
    auto scrape = model.tick();
    scrape.timestamp_ms = first_ms + std::int64_t{i} * 15'000;
    queue.append(std::move(scrape));
    if (i % 200 == 199) spiller.round(true);
  }
  spiller.round(true);
}

double cpu_seconds() {
  return static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID)) / kNsPerSecond;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: catch_up_bench URL [HOURS [PROTOCOL]]\n");
    return 2;
  }
  mallopt(M_ARENA_MAX, 1);
  http::init_http();
  config::Config config;
  config.interval = std::chrono::seconds(15);
  auto& endpoint = config.endpoints.emplace_back();
  endpoint.url = argv[1];
  endpoint.catch_up_rate = 0;
  const std::string_view protocol = argc > 3 ? argv[3] : "auto";
  if (protocol == "prometheus-1.0") endpoint.protocol = config::Protocol::prometheus_1_0;
  if (protocol == "prometheus-2.0") endpoint.protocol = config::Protocol::prometheus_2_0;
  const int scrapes = (argc > 2 ? std::atoi(argv[2]) : 24) * kScrapesPerHour;

  const auto folder = std::filesystem::temp_directory_path() / cat("catch-up-", wall_ns());
  fill(*open(folder, config), scrapes);
  {
    const auto queue = open(folder, config);
    const auto waiting = [&] { return queue->state(0).samples; };
    const auto all = waiting();
    std::printf("%zu samples wait in %zu segments\n", all, queue->state().segments);
    delivery::AgentStats agent_stats;
    delivery::Delivery delivery({*queue, agent_stats,
                                 [](const std::string& reason) {
                                   std::fprintf(stderr, "catch_up_bench: %s\n", reason.c_str());
                                   std::_Exit(1);
                                 },
                                 delivery::connect_over_http});
    if (auto started = delivery.set_endpoints(config); !started) {
      std::fprintf(stderr, "catch_up_bench: %s\n", started.error().text.c_str());
      return 1;
    }
    const auto& stats = agent_stats.endpoints.front();
    const auto poll = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
    // The newest scrape goes first and alone. Behind it the backlog waits a random part of a minute, as that of each
    // agent does (FlowControl::after_outage): what is measured begins with its first request.
    while (waiting() + 2 * all / static_cast<std::size_t>(scrapes) > all) poll();
    const auto first = all - waiting();
    const auto began_ns = monotonic_ns();
    const auto began_cpu = cpu_seconds();
    const auto began_bytes = stats.bytes_sent.load();
    while (waiting() > 0) poll();
    const auto seconds = static_cast<double>(monotonic_ns() - began_ns) / kNsPerSecond;
    const auto samples = static_cast<double>(all - first);
    std::printf("%s: %.0f samples/s, %.2f bytes/sample, %.0f ns CPU per sample, %.2f s\n",
                stats.protocol.load(), samples / seconds,
                static_cast<double>(stats.bytes_sent - began_bytes) / samples,
                (cpu_seconds() - began_cpu) / samples * 1e9, seconds);
    delivery.stop(monotonic_ns());
  }
  std::filesystem::remove_all(folder);
  return 0;
}
