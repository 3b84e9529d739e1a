#include "agent/run/agent.h"

#include <malloc.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
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
#include "agent/run/memory_limit.h"
#include "agent/run/self_metrics.h"
#include "agent/run/service.h"
#include "agent/run/signals.h"
#include "agent/run/status_file.h"
#include "agent/sources/host.h"
#include "agent/sources/scheduler.h"

namespace msp {
namespace {

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

/// What the sources of a configuration are made of; all of it outlives them.
struct Ground {
  const HostPaths& paths;
  SelfMetrics& self_metrics;
  std::size_t series_max = kSeriesMaxDefault;
  std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  OnHealthChange on_health_change = tell_health;
};

std::unique_ptr<HostSource> make_host(const Config& config, const Ground& ground) {
  return std::make_unique<HostSource>(HostSource::Setup{
      .collectors = config.collectors,
      .paths = ground.paths,
      .options = config.collector_options,
      .labels = config.target_labels(),
      .series_max = ground.series_max,
      .wakeup = ground.wakeup,
      .on_health_change = ground.on_health_change,
      .self_samples = [&self = ground.self_metrics](SeriesWriter& out) { self.add_to(out); }});
}

/// Whether two configurations make the same scrapes at the same moments.
bool scrape_alike(const Config& a, const Config& b) {
  return a.interval == b.interval && a.series_max == b.series_max && a.collectors == b.collectors &&
         a.collector_options == b.collector_options && a.target_labels() == b.target_labels();
}

std::string identity_of(const Config& config) {
  return cat(config.customer_id, "/", config.server_name);
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
        read_config_(read_config),
        buffer_(buffer),
        self_metrics_(stats_, &buffer_),
        ground_{.paths = paths, .self_metrics = self_metrics_},
        scheduler_({.clock = real_clock(),
                    .identity = identity_of(config_),
                    .on_scrape = [this](const Source& source,
                                        Scrape scrape) { take(source, std::move(scrape)); },
                    .on_missed = [this](const Source&,
                                        std::uint64_t ticks) { stats_.ticks_skipped += ticks; }}),
        service_(Notify::from_environment()),
        status_file_(config_.buffer),
        delivery_(buffer_, stats_) {}

  /// Ticks until a signal says stop. False where the buffer's disk hangs: then its thread still
  /// uses the buffer.
  bool run(const Signals& signals) {
    log_info(start_line(config_));
    tell_what_was_kept(config_, buffer_);
    delivery_.set_endpoints(config_.endpoints);
    set_host();
    int signal = 0;
    while (signal != SIGTERM && signal != SIGINT) {
      signal =
          signals.wait(*ground_.wakeup,
                       std::min({scheduler_.due_ns(), service_.due_ns(), status_file_.due_ns()}));
      if (signal == SIGHUP) reload();
      const auto now_ns = clock_ns(CLOCK_BOOTTIME);
      if (now_ns >= service_.due_ns()) service_.report(now_ns, make_report(stats_, buffer_));
      delivery_.reap();
      scheduler_.run();
      if (now_ns >= status_file_.due_ns()) write_status(now_ns);
    }
    return stop(signal);
  }

 private:
  void set_host() {
    const auto limit = series_limit(config_.series_max, memory_limit());
    if (!limit.warning.empty()) log_warning(limit.warning);
    ground_.series_max = limit.series_max;
    auto host = make_host(config_, ground_);
    host_ = host.get();
    scheduler_.add(std::move(host));
  }

  void take(const Source& source, Scrape scrape) {
    samples_per_tick_[source.name()] = scrape.values.size();
    stats_.duplicate_samples += source.health().duplicates;
    buffer_.append(std::move(scrape));
    const auto now_ns = clock_ns(CLOCK_BOOTTIME);
    service_.ticked(now_ns);
    status_file_.ticked(now_ns);
  }

  /// Of all sources, at an interval of the host's.
  std::size_t samples_per_tick() const {
    double samples = 0;
    for (const auto* source : scheduler_.sources()) {
      const auto found = samples_per_tick_.find(source->name());
      if (found == samples_per_tick_.end()) continue;
      samples += static_cast<double>(found->second) *
                 (std::chrono::duration<double>(config_.interval) / source->options().interval);
    }
    return static_cast<std::size_t>(samples);
  }

  void write_status(std::int64_t now_ns, bool stopped = false) {
    status_file_.write(now_ns, {.config = config_,
                                .service = make_report(stats_, buffer_),
                                .buffer = buffer_.state(),
                                .collectors = host_->outcomes(),
                                .sources = scheduler_.sources(),
                                .samples_per_tick = samples_per_tick(),
                                .ticks_skipped = stats_.ticks_skipped,
                                .timestamps_moved = scheduler_.moved(),
                                .resident_bytes = self_metrics_.resident_bytes(),
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
    config_ = std::move(config);
    delivery_.set_endpoints(config_.endpoints);
    scheduler_.set_identity(identity_of(config_));
    if (!same_scrapes) set_host();
  }

  bool stop(int signal) {
    const auto line = cat(signal == SIGINT ? "SIGINT" : "SIGTERM", ": sending what is left");
    log_info(line);
    service_.stopping(line);
    scheduler_.stop();
    const bool closed = delivery_.stop();
    tell_what_is_left(stats_, buffer_);
    if (closed) write_status(clock_ns(CLOCK_BOOTTIME), true);
    return closed;
  }

  Config config_;
  const ReadConfig& read_config_;
  Buffer& buffer_;
  AgentStats stats_;
  SelfMetrics self_metrics_;
  Ground ground_;
  std::map<std::string, std::size_t, std::less<>> samples_per_tick_;  // by source
  Scheduler scheduler_;
  const HostSource* host_ = nullptr;  // the scheduler's
  Service service_;
  StatusFile status_file_;
  Delivery delivery_;
};

}  // namespace

Result<void> run_agent(const Config& config, const HostPaths& paths,
                       const ReadConfig& read_config) {
  // One heap for all threads: they allocate little and never at the same time for long. A heap per
  // thread would keep what each needed at its worst.
  mallopt(M_ARENA_MAX, 1);
  const auto signals = Signals::open();
  if (!signals) return signals.error();
  signal(SIGPIPE, SIG_IGN);
  init_http();

  auto opened = Buffer::open(buffer_options(config));
  if (!opened) return opened.error();
  auto& buffer = **opened;
  Agent agent(config, paths, read_config, buffer);
  if (agent.run(*signals)) return {};
  log_error(cat("the disk of ", config.buffer.path,
                " does not answer: what was not delivered may be lost"));
  std::_Exit(1);  // the disk thread uses the buffer as long as the process lives
}

std::vector<std::vector<Scrape>> collect(const Config& config, const HostPaths& paths, int ticks,
                                         std::chrono::nanoseconds apart,
                                         OnHealthChange on_health_change) {
  AgentStats stats;
  for (const auto& endpoint : config.endpoints) stats.endpoints.emplace_back(endpoint.name());
  SelfMetrics self_metrics(stats, nullptr);
  Ground ground{.paths = paths, .self_metrics = self_metrics, .series_max = config.series_max};
  if (on_health_change) ground.on_health_change = std::move(on_health_change);
  const auto host = make_host(config, ground);
  std::vector<std::vector<Scrape>> scrapes;
  for (int tick = 1; tick <= ticks; ++tick) {
    if (tick > 1) std::this_thread::sleep_for(apart);
    const Tick now{static_cast<std::uint64_t>(tick), wall_ns()};
    scrapes.emplace_back().push_back(scrape_now(*host, now, *ground.wakeup));
  }
  return scrapes;
}

}  // namespace msp
