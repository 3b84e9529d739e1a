#include "agent/agent.h"

#include <malloc.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
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
#include "agent/self/service.h"
#include "agent/self/stats.h"

namespace msp {
namespace {

// Of the 5 s in which a stop must end: for the network, then for the disk.
constexpr std::int64_t kFlushMaxNs = 3 * kNsPerSecond;
constexpr std::int64_t kCloseMaxNs = 1 * kNsPerSecond;

void tell_health(std::string_view collector, const Error* error) {
  if (error == nullptr) {
    log_info(cat(collector, ": works again"));
  } else if (error->kind == Error::Kind::no_data) {
    log_debug(cat(collector, ": no data: ", error->text));
  } else {
    log_warning(cat(collector, ": ", error->text));
  }
}

Buffer::Options buffer_options(const Config& config) {
  Buffer::Options options;
  for (const auto& endpoint : config.endpoints) options.endpoints.push_back(endpoint.name());
  options.folder = config.buffer.path;
  options.head_folder = config.buffer.head_path;
  options.limits.bytes_max = config.buffer.bytes_max;
  options.limits.age_max = config.buffer.age_max;
  options.limits.free_bytes_min = config.buffer.free_bytes_min;
  return options;
}

/// What makes a scrape: the collectors, and what the agent says of itself.
struct Source {
  /// `buffer` may be null: a dry run.
  Source(const Config& config, const HostPaths& paths, const Buffer* buffer)
      : self_metrics(stats, buffer),
        scraper({.collectors = config.collectors,
                 .paths = paths,
                 .options = config.collector_options,
                 .labels = config.target_labels(),
                 .host = {},
                 .on_health_change = tell_health,
                 .self_samples = [this](SampleWriter& out) { self_metrics.add_to(out); }}) {
    for (const auto& endpoint : config.endpoints) stats.endpoints.emplace_back(endpoint.name());
  }

  AgentStats stats;
  SelfMetrics self_metrics;
  Scraper scraper;
};

/// Threads that send, and the one that keeps on disk what cannot be sent.
class Delivery {
 public:
  Delivery(const Config& config, Buffer& buffer, AgentStats& stats) : buffer_(buffer) {
    disk_ = std::thread([&buffer] { buffer.run_disk(); });
    for (std::size_t i = 0; i < config.endpoints.size(); ++i) {
      auto& sender = senders_.emplace_back(config.endpoints[i], i, buffer, stats.endpoints[i]);
      threads_.emplace_back([&sender] { sender.run(); });
    }
  }

  /// Sends what is left, keeps what cannot be sent. False where the disk hangs: then its thread
  /// still runs.
  bool stop() {
    const auto deadline_ns = monotonic_ns() + kFlushMaxNs;
    for (auto& sender : senders_) sender.stop_at(deadline_ns);
    buffer_.stop();
    for (auto& thread : threads_) thread.join();
    const bool closed = buffer_.close(monotonic_ns() + kCloseMaxNs);
    closed ? disk_.join() : disk_.detach();
    return closed;
  }

 private:
  Buffer& buffer_;
  std::thread disk_;
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
int tick_until_stopped(const Config& config, Source& source, Buffer& buffer, Service& service,
                       const sigset_t& signals) {
  Schedule schedule(config.interval, cat(config.customer_id, "/", config.server_name), wall_ns(),
                    clock_ns(CLOCK_BOOTTIME));
  std::int64_t last_timestamp_ms = 0;
  for (;;) {
    const int signal = wait_for_signal(signals, std::min(schedule.due_ns(), service.due_ns()));
    if (signal == SIGTERM || signal == SIGINT) return signal;
    if (signal == SIGHUP) log_warning("SIGHUP: restart the agent to apply a changed configuration");

    const auto now_ns = clock_ns(CLOCK_BOOTTIME);
    if (now_ns >= service.due_ns()) {
      service.report(now_ns, make_report(config, source.stats, buffer));
    }
    if (now_ns < schedule.due_ns()) continue;
    source.stats.ticks_skipped += schedule.tick(now_ns);
    auto scrape = source.scraper.scrape(wall_ns());
    // Two samples of a series cannot share a millisecond; the first tick may come that close to the
    // second.
    if (scrape.timestamp_ms == last_timestamp_ms) continue;
    last_timestamp_ms = scrape.timestamp_ms;
    buffer.append(std::move(scrape));
    service.ticked(clock_ns(CLOCK_BOOTTIME));
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

void tell_what_was_kept(const Config& config, const Buffer& buffer) {
  for (std::size_t i = 0; i < config.endpoints.size(); ++i) {
    const auto samples = buffer.state(i).samples;
    if (samples == 0) continue;
    log_info(cat(grouped(samples), " samples of an earlier run are kept for ",
                 config.endpoints[i].name()));
  }
}

void tell_what_is_left(const Config& config, const Buffer& buffer) {
  for (std::size_t i = 0; i < config.endpoints.size(); ++i) {
    const auto samples = buffer.state(i).samples;
    if (samples == 0) continue;
    log_info(cat("stopped with ", grouped(samples), " samples for ", config.endpoints[i].name(),
                 buffer.state().memory_only ? ", which are lost: the disk cannot be used"
                                            : ", kept for the next start"));
  }
}

}  // namespace

Result<void> run_agent(const Config& config, const HostPaths& paths) {
  // One heap for all threads: they allocate little and never at the same time for long. A heap per
  // thread would keep what each needed at its worst.
  mallopt(M_ARENA_MAX, 1);
  const auto signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals,
                  nullptr);  // threads inherit it: signals come to sigtimedwait
  signal(SIGPIPE, SIG_IGN);
  init_http();

  auto opened = Buffer::open(buffer_options(config));
  if (!opened) return opened.error();
  auto& buffer = **opened;
  Source source(config, paths, &buffer);
  log_info(start_line(config));
  tell_what_was_kept(config, buffer);
  Delivery delivery(config, buffer, source.stats);
  Service service(Notify::from_environment());
  const int signal = tick_until_stopped(config, source, buffer, service, signals);
  service.stopping("sending what is left");
  log_info(cat(signal == SIGINT ? "SIGINT" : "SIGTERM", ": sending what is left"));
  const bool closed = delivery.stop();
  tell_what_is_left(config, buffer);
  if (closed) return {};
  log_error(cat("the disk of ", config.buffer.path,
                " does not answer: what was not delivered may be lost"));
  std::_Exit(1);  // the disk thread uses the buffer as long as the process lives
}

std::vector<Scrape> collect(const Config& config, const HostPaths& paths, int ticks,
                            std::chrono::nanoseconds apart) {
  Source source(config, paths, nullptr);
  std::vector<Scrape> scrapes;
  for (int tick = 0; tick < ticks; ++tick) {
    if (tick > 0) std::this_thread::sleep_for(apart);
    scrapes.push_back(source.scraper.scrape(wall_ns()));
  }
  return scrapes;
}

}  // namespace msp
