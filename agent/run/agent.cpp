#include "agent/run/agent.h"

#include <malloc.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/delivery/delivery.h"
#include "agent/delivery/stats.h"
#include "agent/http/client.h"
#include "agent/queue/queue.h"
#include "agent/run/health_log.h"
#include "agent/run/outage.h"
#include "agent/run/self_metrics.h"
#include "agent/run/service.h"
#include "agent/run/status_file.h"
#include "agent/sources/schedule.h"
#include "agent/sources/scraper.h"

namespace msp {
namespace {

OnHealthChange tell_health() {
  return [log = std::make_shared<HealthLog>()](std::string_view collector, const Error* error) {
    if (const auto line = log->line(collector, error, monotonic_ns()))
      log_line(line->level, line->text);
  };
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
  Source(const Config& config, const HostPaths& paths, const AgentStats& stats,
         const Buffer* buffer, OnHealthChange on_health_change = tell_health())
      : self_metrics(stats, buffer),
        scraper({.collectors = config.collectors,
                 .paths = paths,
                 .options = config.collector_options,
                 .labels = config.target_labels(),
                 .host = {},
                 .on_health_change = std::move(on_health_change),
                 .self_samples = [this](SampleWriter& out) { self_metrics.add_to(out); }}) {}

  SelfMetrics self_metrics;
  Scraper scraper;
};

/// Whether two configurations make the same scrapes at the same moments.
bool scrape_alike(const Config& a, const Config& b) {
  return a.interval == b.interval && a.collectors == b.collectors &&
         a.collector_options == b.collector_options && a.target_labels() == b.target_labels();
}

Schedule make_schedule(const Config& config) {
  return Schedule(config.interval, cat(config.customer_id, "/", config.server_name), wall_ns(),
                  clock_ns(CLOCK_BOOTTIME));
}

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

std::string start_line(const Config& config) {
  std::string endpoints;
  for (const auto& endpoint : config.endpoints) {
    endpoints += cat(endpoints.empty() ? "" : ", ", endpoint.name());
  }
  return cat("msp-agent " MSP_AGENT_VERSION ": ", config.customer_id, "/", config.server_name,
             ": every ", duration_text(std::chrono::nanoseconds(config.interval).count()), " ",
             config.collectors.size(), " collectors to ", endpoints);
}

void tell_what_was_kept(const Config& config, Buffer& buffer) {
  for (const auto& endpoint : config.endpoints) {
    const auto samples = buffer.state(buffer.add_endpoint(endpoint.name())).samples;
    if (samples == 0) continue;
    log_info(cat(grouped(samples), " samples of an earlier run are kept for ", endpoint.name()));
  }
}

void tell_what_is_left(const AgentStats& stats, const Buffer& buffer) {
  for (const auto& endpoint : stats.endpoints) {
    const auto samples = buffer.state(endpoint.number).samples;
    if (samples == 0) continue;
    const auto* fate = ", kept for the next start";
    if (endpoint.removed) fate = ", which is no longer in the configuration: they are lost";
    if (buffer.state().memory_only) fate = ", which are lost: the disk cannot be used";
    log_info(cat("stopped with ", grouped(samples), " samples for ", endpoint.name, fate));
  }
}

/// The main thread's work: ticks, signals, what the service manager is told.
class Agent {
 public:
  Agent(const Config& config, const HostPaths& paths, const ReadConfig& read_config, Buffer& buffer)
      : config_(config),
        paths_(paths),
        read_config_(read_config),
        buffer_(buffer),
        source_(std::make_unique<Source>(config_, paths_, stats_, &buffer_)),
        schedule_(make_schedule(config_)),
        service_(Notify::from_environment()),
        status_file_(config_.buffer),
        delivery_(buffer_, stats_) {}

  /// Ticks until a signal says stop. False where the buffer's disk hangs: then its thread still
  /// uses the buffer.
  bool run(const sigset_t& signals) {
    log_info(start_line(config_));
    tell_what_was_kept(config_, buffer_);
    delivery_.set_endpoints(config_.endpoints);
    int signal = 0;
    while (signal != SIGTERM && signal != SIGINT) {
      signal = wait_for_signal(
          signals, std::min({schedule_.due_ns(), service_.due_ns(), status_file_.due_ns()}));
      if (signal == SIGHUP) reload();
      const auto now_ns = clock_ns(CLOCK_BOOTTIME);
      if (now_ns >= service_.due_ns()) service_.report(now_ns, make_report(stats_, buffer_));
      if (now_ns >= schedule_.due_ns()) tick(now_ns);
      if (now_ns >= status_file_.due_ns()) write_status(now_ns);
    }
    return stop(signal);
  }

 private:
  void tick(std::int64_t now_ns) {
    delivery_.reap();
    stats_.ticks_skipped += schedule_.tick(now_ns);
    auto scrape = source_->scraper.scrape(wall_ns());
    // Two samples of a series cannot share a millisecond; the first tick may come that close to the
    // second.
    if (scrape.timestamp_ms == last_timestamp_ms_) return;
    last_timestamp_ms_ = scrape.timestamp_ms;
    auto series = scrape.series;
    if (const auto before = std::exchange(series_before_reload_, nullptr)) {
      end_missing_series(*before, scrape);
    }
    last_series_ = std::move(series);
    buffer_.append(std::move(scrape));
    service_.ticked(clock_ns(CLOCK_BOOTTIME));
    status_file_.ticked(clock_ns(CLOCK_BOOTTIME));
  }

  void write_status(std::int64_t now_ns, bool stopped = false) {
    // Asked only where the status itself is written to that disk: this thread waits for no other.
    const auto& buffer = config_.buffer;
    const auto disk = buffer.head_path == buffer.path ? disk_space(buffer.path) : std::nullopt;
    status_file_.write(now_ns, {.config = config_,
                                .service = make_report(stats_, buffer_),
                                .buffer = buffer_.state(),
                                .collectors = source_->scraper.outcomes(),
                                .samples_per_tick = last_series_ ? last_series_->size() : 0,
                                .ticks_skipped = stats_.ticks_skipped,
                                .resident_bytes = source_->self_metrics.resident_bytes(),
                                .disk = disk,
                                .stopped = stopped});
  }

  /// Takes over what has changed in the configuration, or leaves all as it is where there is an
  /// error in it.
  void reload() {
    service_.reloading();
    if (auto config = read_config_()) {
      apply(std::move(*config));
      log_info(cat("reloaded: ", start_line(config_)));
    } else {
      log_error(
          "the configuration was not reloaded, for the reason above: the one before stays in "
          "force; correct it and reload again");
    }
    service_.reloaded();
  }

  void apply(Config config) {
    if (config.buffer != config_.buffer) {
      log_warning(
          "reload: what has changed under buffer needs a restart: systemctl restart msp-agent; "
          "the rest is applied");
      config.buffer = config_.buffer;
    }
    const bool same_scrapes = scrape_alike(config, config_);
    const bool same_ticks = config.interval == config_.interval &&
                            config.customer_id == config_.customer_id &&
                            config.server_name == config_.server_name;
    config_ = std::move(config);
    delivery_.set_endpoints(config_.endpoints);
    if (!same_ticks) schedule_ = make_schedule(config_);
    if (same_scrapes) return;
    if (series_before_reload_ == nullptr) series_before_reload_ = last_series_;
    source_ = std::make_unique<Source>(config_, paths_, stats_, &buffer_);
  }

  bool stop(int signal) {
    const auto line = cat(signal == SIGINT ? "SIGINT" : "SIGTERM", ": sending what is left");
    log_info(line);
    service_.stopping(line);
    const bool closed = delivery_.stop();
    tell_what_is_left(stats_, buffer_);
    if (closed) write_status(clock_ns(CLOCK_BOOTTIME), true);
    return closed;
  }

  Config config_;
  const HostPaths& paths_;
  const ReadConfig& read_config_;
  Buffer& buffer_;
  AgentStats stats_;
  std::unique_ptr<Source> source_;
  Schedule schedule_;
  Service service_;
  StatusFile status_file_;
  Delivery delivery_;
  std::int64_t last_timestamp_ms_ = 0;
  std::shared_ptr<const SeriesSet> last_series_;
  std::shared_ptr<const SeriesSet> series_before_reload_;  // until the next tick
};

}  // namespace

Result<void> run_agent(const Config& config, const HostPaths& paths,
                       const ReadConfig& read_config) {
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
  Agent agent(config, paths, read_config, buffer);
  if (agent.run(signals)) return {};
  log_error(cat("the disk of ", config.buffer.path,
                " does not answer: what was not delivered may be lost"));
  std::_Exit(1);  // the disk thread uses the buffer as long as the process lives
}

std::vector<Scrape> collect(const Config& config, const HostPaths& paths, int ticks,
                            std::chrono::nanoseconds apart, OnHealthChange on_health_change) {
  AgentStats stats;
  for (const auto& endpoint : config.endpoints) stats.endpoints.emplace_back(endpoint.name());
  if (!on_health_change) on_health_change = tell_health();
  Source source(config, paths, stats, nullptr, std::move(on_health_change));
  std::vector<Scrape> scrapes;
  for (int tick = 0; tick < ticks; ++tick) {
    if (tick > 0) std::this_thread::sleep_for(apart);
    scrapes.push_back(source.scraper.scrape(wall_ns()));
  }
  return scrapes;
}

}  // namespace msp
