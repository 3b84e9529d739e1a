#include "agent/agent.h"

#include <malloc.h>

#include <csignal>

#include <cerrno>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "agent/buffer/buffer.h"
#include "agent/core/clock.h"
#include "agent/core/text.h"
#include "agent/remote_write/sender.h"
#include "agent/schedule.h"
#include "agent/scraper.h"
#include "agent/self/log.h"
#include "agent/self/self_metrics.h"
#include "agent/self/stats.h"

namespace msp {
namespace {

constexpr std::size_t kBufferBytesMax = 4 * 1024 * 1024;
constexpr std::int64_t kFlushMaxNs = 3 * kNsPerSecond;  // of the 5 s in which a stop must end

/// Everything between the tick and the endpoints.
struct Pipeline {
  Pipeline(const Config& config, const HostPaths& paths)
      : buffer(config.endpoints.size(), kBufferBytesMax),
        self_metrics(stats, buffer),
        scraper({.collectors = config.collectors,
                 .paths = paths,
                 .options = config.collector_options,
                 .labels = config.target_labels(),
                 .host = {},
                 .on_health_change = tell_health,
                 .self_samples = [this](SampleWriter& out) { self_metrics.add_to(out); }}) {
    for (const auto& endpoint : config.endpoints) stats.endpoints.emplace_back(endpoint.name());
  }

  static void tell_health(std::string_view collector, const Error* error) {
    if (error == nullptr) {
      log_info(cat(collector, ": works again"));
    } else if (error->kind == Error::Kind::no_data) {
      log_debug(cat(collector, ": no data: ", error->text));
    } else {
      log_warning(cat(collector, ": ", error->text));
    }
  }

  AgentStats stats;
  Buffer buffer;
  SelfMetrics self_metrics;
  Scraper scraper;
};

/// Threads that send, for as long as this lives; its end is the flush.
class Delivery {
 public:
  Delivery(const Config& config, Pipeline& pipeline) : buffer_(pipeline.buffer) {
    for (std::size_t i = 0; i < config.endpoints.size(); ++i) {
      auto& sender =
          senders_.emplace_back(config.endpoints[i], i, buffer_, pipeline.stats.endpoints[i]);
      threads_.emplace_back([&sender] { sender.run(); });
    }
  }

  ~Delivery() {
    const auto deadline_ns = monotonic_ns() + kFlushMaxNs;
    for (auto& sender : senders_) sender.stop_at(deadline_ns);
    buffer_.wake();
    for (auto& thread : threads_) thread.join();
  }

 private:
  Buffer& buffer_;
  std::deque<Sender> senders_;
  std::vector<std::thread> threads_;
};

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

/// Sleeps until `due_ns` (CLOCK_BOOTTIME) or a signal; 0 when it is time.
int wait_for_signal(const sigset_t& signals, std::int64_t due_ns) {
  const auto left_ns = std::max<std::int64_t>(due_ns - clock_ns(CLOCK_BOOTTIME), 0);
  const timespec left{left_ns / kNsPerSecond, left_ns % kNsPerSecond};
  const int signal = sigtimedwait(&signals, nullptr, &left);
  return signal > 0 ? signal : 0;
}

/// Ticks until a signal says stop, which it returns.
int tick_until_stopped(const Config& config, Pipeline& pipeline, const sigset_t& signals) {
  Schedule schedule(config.interval, cat(config.customer_id, "/", config.server_name), wall_ns(),
                    clock_ns(CLOCK_BOOTTIME));
  std::int64_t last_timestamp_ms = 0;
  for (;;) {
    const int signal = wait_for_signal(signals, schedule.due_ns());
    if (signal == SIGTERM || signal == SIGINT) return signal;
    if (signal == SIGHUP) log_warning("SIGHUP: restart the agent to apply a changed configuration");

    const auto now_ns = clock_ns(CLOCK_BOOTTIME);
    if (now_ns < schedule.due_ns()) continue;
    pipeline.stats.ticks_skipped += schedule.tick(now_ns);
    auto scrape = pipeline.scraper.scrape(wall_ns());
    // Two samples of a series cannot share a millisecond; the first tick may come that close to the
    // second.
    if (scrape.timestamp_ms == last_timestamp_ms) continue;
    last_timestamp_ms = scrape.timestamp_ms;
    pipeline.buffer.append(std::move(scrape));
  }
}

std::string start_line(const Config& config) {
  std::string endpoints;
  for (const auto& endpoint : config.endpoints) {
    endpoints += cat(endpoints.empty() ? "" : ", ", endpoint.name());
  }
  return cat("msp-agent " MSP_AGENT_VERSION ": ", config.customer_id, "/", config.server_name,
             ": every ", duration_text(std::chrono::nanoseconds(config.interval).count()), " ",
             config.collectors.size(), " collectors to ", endpoints);
}

}  // namespace

void run_agent(const Config& config, const HostPaths& paths) {
  // One heap for all threads: they allocate little and never at the same time for long. A heap per
  // thread would keep what each needed at its worst.
  mallopt(M_ARENA_MAX, 1);
  const auto signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals,
                  nullptr);  // threads inherit it: signals come to sigtimedwait only
  signal(SIGPIPE, SIG_IGN);
  init_http();

  Pipeline pipeline(config, paths);
  log_info(start_line(config));
  {
    const Delivery delivery(config, pipeline);
    const int signal = tick_until_stopped(config, pipeline, signals);
    log_info(cat(signal == SIGINT ? "SIGINT" : "SIGTERM", ": sending what is left"));
  }
  for (std::size_t i = 0; i < config.endpoints.size(); ++i) {
    const auto samples = pipeline.buffer.state(i).samples;
    if (samples == 0) continue;
    log_warning(cat("stopped with ", grouped(samples), " samples not delivered to ",
                    config.endpoints[i].name(), ": they are lost"));
  }
}

Scrape collect_once(const Config& config, const HostPaths& paths) {
  return Pipeline(config, paths).scraper.scrape(wall_ns());
}

}  // namespace msp
