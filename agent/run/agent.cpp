#include "agent/run/agent.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/stop_token.h"
#include "agent/base/text.h"
#include "agent/base/thread.h"
#include "agent/delivery/delivery.h"
#include "agent/delivery/stats.h"
#include "agent/http/client.h"
#include "agent/queue/queue.h"
#include "agent/queue/spiller.h"
#include "agent/run/health_log.h"
#include "agent/run/memory_limit.h"
#include "agent/run/open_files.h"
#include "agent/run/outage.h"
#include "agent/run/self_metrics.h"
#include "agent/run/service.h"
#include "agent/run/signals.h"
#include "agent/run/status_file.h"
#include "agent/sources/host.h"
#include "agent/sources/scheduler.h"

namespace msp {
namespace {

OnHealthChange tell_health() {
  return [log = std::make_shared<HealthLog>()](std::string_view collector, const Error* error) {
    if (const auto line = log->line(collector, error, monotonic_ns()))
      log_line(line->level, line->text);
  };
}

void tell_complaint(std::string_view collector, std::string_view text, bool is_over) {
  const auto line = cat(collector, ": ", text);
  is_over ? log_info(line) : log_warning(line);
}

Queue::Options queue_options(const Config& config) {
  Queue::Options options;
  options.folder = config.buffer.path;
  options.wal_folder = config.buffer.head_path;
  options.limits.bytes_max = config.buffer.bytes_max;
  options.limits.age_max = config.buffer.age_max;
  options.limits.free_bytes_min = config.buffer.free_bytes_min;
  auto send_every = config.interval;
  for (const auto& endpoint : config.endpoints) {
    send_every = std::max(send_every, endpoint.send_every);
  }
  options.timing.send_every_ns = std::chrono::nanoseconds(send_every).count();
  options.notify = [](const Notice& notice) {
    notice.severity == Notice::Severity::warning ? log_warning(notice.text) : log_info(notice.text);
  };
  return options;
}

/// What the sources of a configuration are made of; all of it outlives them.
struct Ground {
  const HostPaths& paths;
  SelfMetrics& self_metrics;
  std::size_t series_max = kSeriesMaxDefault;
  std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  OnHealthChange on_health_change = tell_health();
  OnComplaint on_complaint = tell_complaint;
};

std::unique_ptr<HostSource> make_host(const Config& config, const Ground& ground) {
  return std::make_unique<HostSource>(HostSource::Setup{
      .collectors = config.collectors,
      .paths = ground.paths,
      .options = config.collector_options,
      .interval = config.interval,
      .labels = config.target_labels(),
      .series_max = ground.series_max,
      .wakeup = ground.wakeup,
      .on_health_change = ground.on_health_change,
      .on_complaint = ground.on_complaint,
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

void tell_what_was_kept(const AgentStats& stats, const Queue& queue) {
  for (const auto& endpoint : stats.endpoints) {
    const auto samples = queue.state(endpoint.number).samples;
    if (samples == 0) continue;
    log_info(cat(grouped(samples), " samples of an earlier run are kept for ", endpoint.name));
  }
}

void tell_what_is_left(const AgentStats& stats, const Queue& queue) {
  for (const auto& endpoint : stats.endpoints) {
    const auto samples = queue.state(endpoint.number).samples;
    if (samples == 0) continue;
    const auto* fate = ", kept for the next start";
    if (endpoint.removed) fate = ", which is no longer in the configuration: they are lost";
    if (queue.state().memory_only) fate = ", which are lost: the disk cannot be used";
    log_info(cat("stopped with ", grouped(samples), " samples for ", endpoint.name, fate));
  }
}

// Of the 10 s that the service manager gives a stop: for the network, then for the disk.
constexpr std::int64_t kFlushMaxNs = 3 * kNsPerSecond;
constexpr std::int64_t kCloseMaxNs = 5 * kNsPerSecond;

/// What came to an end in time at a stop. A thread that did not uses the agent until the process
/// ends.
struct Ended {
  bool delivery = false;
  bool disk = false;
};

/// The main thread's work: ticks, signals, what the service manager is told.
class Agent {
 public:
  Agent(const Config& config, const HostPaths& paths, const ReadConfig& read_config, Queue& queue)
      : config_(config),
        read_config_(read_config),
        queue_(queue),
        spiller_(queue),
        self_metrics_(stats_, &queue_),
        ground_{.paths = paths, .self_metrics = self_metrics_},
        scheduler_({.clock = real_clock(),
                    .identity = identity_of(config_),
                    .on_scrape = [this](const Source& source,
                                        Scrape scrape) { take(source, std::move(scrape)); },
                    .on_missed = [this](const Source&,
                                        std::uint64_t ticks) { stats_.ticks_skipped += ticks; }}),
        service_(Notify::from_environment()),
        status_file_(config_.buffer),
        delivery_({.queue = queue_,
                   .stats = stats_,
                   .on_thread_failure = [this](const std::string& reason) { fail(reason); }}) {}

  /// Ticks until a signal says stop. An error is why it could not go on, in words for the log. An
  /// exception ends the process where it is thrown (main.cpp): on its way up it would meet
  /// destructors of what threads use.
  Result<Ended> run(const Signals& signals) noexcept {
    if (auto started = start(); !started) return started.error();
    log_info(start_line(config_));
    make_room_for_files();
    tell_what_was_kept(stats_, queue_);
    set_host();
    int signal = 0;
    while (signal != SIGTERM && signal != SIGINT) {
      signal =
          signals.wait(*ground_.wakeup,
                       std::min({scheduler_.due_ns(), service_.due_ns(), status_file_.due_ns()}));
      if (signal == SIGHUP) reload();
      const auto now_ns = clock_ns(CLOCK_BOOTTIME);
      if (now_ns >= service_.due_ns()) service_.report(now_ns, make_report(stats_, queue_));
      delivery_.reap();
      scheduler_.run();
      if (now_ns >= status_file_.due_ns()) write_status(now_ns);
    }
    const auto ended = stop(signal);
    const std::lock_guard lock(failure_mutex_);
    if (!failure_.empty()) return failed(failure_);
    return ended;
  }

 private:
  Result<void> start() {
    // The queue knows its consumers before the spiller looks for what nobody waits for.
    if (auto set = delivery_.set_endpoints(config_); !set) return set;
    auto thread = Thread::start(
        "the buffer's disk", [this] { spiller_.run(stop_spiller_.token()); },
        [this](const std::string& reason) { fail(reason); });
    if (!thread) return thread.error();
    spiller_thread_ = std::move(*thread);
    return {};
  }

  /// A thread cannot go on: the agent ends, and what it has is kept for the next start. Any thread.
  void fail(const std::string& reason) {
    {
      const std::lock_guard lock(failure_mutex_);
      if (failure_.empty()) failure_ = cat("a thread of the agent ended: ", reason);
    }
    ::kill(::getpid(), SIGTERM);
  }

  void make_room_for_files() const {
    const auto problem = raise_open_files(open_files_needed(config_));
    if (!problem.empty()) log_warning(problem);
  }

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
    queue_.append(std::move(scrape));
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
    // Asked only where the status itself is written to that disk: this thread waits for no other.
    const auto& buffer = config_.buffer;
    const auto disk = buffer.head_path == buffer.path ? disk_space(buffer.path) : std::nullopt;
    status_file_.write(now_ns, {.config = config_,
                                .service = make_report(stats_, queue_),
                                .buffer = queue_.state(),
                                .collectors = host_->outcomes(),
                                .sources = scheduler_.sources(),
                                .samples_per_tick = samples_per_tick(),
                                .ticks_skipped = stats_.ticks_skipped,
                                .timestamps_moved = scheduler_.moved(),
                                .resident_bytes = self_metrics_.resident_bytes(),
                                .disk = disk,
                                .stopped = stopped});
  }

  /// Takes over what has changed in the configuration, or leaves all as it is where there is an
  /// error in it.
  void reload() {
    service_.reloading();
    auto config = read_config_();
    const auto applied = config ? apply(std::move(*config)) : Result<void>(failed(""));
    if (applied) {
      log_info(cat("reloaded: ", start_line(config_)));
    } else {
      if (config) log_error(applied.error().text);
      log_error(
          "the configuration was not reloaded, for the reason above: the one before stays in "
          "force; correct it and reload again");
    }
    service_.reloaded();
  }

  /// After an error nothing has changed.
  Result<void> apply(Config config) {
    if (config.buffer != config_.buffer) {
      log_warning(
          "reload: what has changed under buffer needs a restart: systemctl restart msp-agent; "
          "the rest is applied");
      config.buffer = config_.buffer;
    }
    const bool same_scrapes = scrape_alike(config, config_);
    if (auto set = delivery_.set_endpoints(config); !set) return set;
    config_ = std::move(config);
    make_room_for_files();
    scheduler_.set_identity(identity_of(config_));
    if (!same_scrapes) set_host();
    return {};
  }

  Ended stop(int signal) {
    const auto line = cat(signal == SIGINT ? "SIGINT" : "SIGTERM", ": sending what is left");
    log_info(line);
    service_.stopping(line);
    scheduler_.stop();
    Ended ended;
    ended.delivery = delivery_.stop(monotonic_ns() + kFlushMaxNs);
    const auto deadline_ns = monotonic_ns() + kCloseMaxNs;
    stop_spiller_.request_stop(deadline_ns);
    ended.disk = spiller_thread_.join_until(deadline_ns);
    tell_what_is_left(stats_, queue_);
    if (ended.disk) write_status(clock_ns(CLOCK_BOOTTIME), true);
    return ended;
  }

  Config config_;
  const ReadConfig& read_config_;
  Queue& queue_;
  Spiller spiller_;
  StopSource stop_spiller_;
  Thread spiller_thread_;
  std::mutex failure_mutex_;
  std::string failure_;
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

  auto opened = Queue::open(queue_options(config));
  if (!opened) return opened.error();
  auto agent = std::make_unique<Agent>(config, paths, read_config, **opened);
  const auto ended = agent->run(*signals);
  const bool is_clean = ended && ended->delivery && ended->disk;
  if (is_clean) return {};
  if (!ended) {
    log_error(ended.error().text);
  } else if (!ended->disk) {
    log_error(cat("the disk of ", config.buffer.path,
                  " does not answer: what was not delivered may be lost"));
  } else {
    log_warning(cat("a thread still waits for the disk of ", config.buffer.path,
                    "; all that was collected is kept"));
  }
  // Threads may use the queue as long as the process lives.
  std::_Exit(ended && ended->disk ? 0 : 1);
}

std::vector<std::vector<Scrape>> collect(const Config& config, const HostPaths& paths, int ticks,
                                         std::chrono::nanoseconds apart,
                                         OnHealthChange on_health_change,
                                         OnComplaint on_complaint) {
  AgentStats stats;
  for (const auto& endpoint : config.endpoints) stats.endpoints.emplace_back(endpoint.name());
  SelfMetrics self_metrics(stats, nullptr);
  Ground ground{.paths = paths, .self_metrics = self_metrics, .series_max = config.series_max};
  if (on_health_change) ground.on_health_change = std::move(on_health_change);
  if (on_complaint) ground.on_complaint = std::move(on_complaint);
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
