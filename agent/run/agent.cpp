#include "agent/run/agent.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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
#include "agent/run/exporter_agent.h"
#include "agent/run/health_log.h"
#include "agent/run/last_stop.h"
#include "agent/run/listener.h"
#include "agent/run/memory_limit.h"
#include "agent/run/open_files.h"
#include "agent/run/outage.h"
#include "agent/run/program_pages.h"
#include "agent/run/self_metrics.h"
#include "agent/run/service.h"
#include "agent/run/signals.h"
#include "agent/run/status_file.h"
#include "agent/run/targets.h"
#include "agent/sources/host.h"
#include "agent/sources/scheduler.h"

namespace msp::run {
namespace {

using std::chrono::nanoseconds;

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

queue::Queue::Options queue_options(const config::Config& config) {
  queue::Queue::Options options;
  options.folder = config.buffer.path;
  options.wal_folder = config.buffer.head_path;
  options.limits.bytes_max = config.buffer.bytes_max;
  options.limits.age_max = config.buffer.age_max;
  options.limits.free_bytes_min = config.buffer.free_bytes_min;
  auto send_every = config.interval;
  for (const auto& endpoint : config.endpoints) {
    send_every = std::max(send_every, endpoint.send_every);
  }
  options.timing.send_every_ns = nanoseconds(send_every).count();
  options.notify = [](const queue::Notice& notice) {
    notice.severity == queue::Notice::Severity::warning ? log_warning(notice.text)
                                                        : log_info(notice.text);
  };
  return options;
}

/// What the sources of a configuration are made of; all of it outlives them.
struct Ground {
  const collectors::HostPaths& paths;
  SelfMetrics& self_metrics;
  std::size_t series_max = metrics::kSeriesMaxDefault;
  std::shared_ptr<metrics::SeriesRoom> room = std::make_shared<metrics::SeriesRoom>();
  std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  OnHealthChange on_health_change = tell_health();
  OnComplaint on_complaint = tell_complaint;
};

/// The sources of the host's collectors. `costly` is null where none of them is.
struct HostSources {
  std::unique_ptr<sources::HostSource> host;
  std::unique_ptr<sources::HostSource> costly;
};

HostSources make_host(const config::Config& config, const Ground& ground) {
  sources::HostSource::Setup setup{
      .collectors = sources::collectors_of(config.collectors, false),
      .paths = ground.paths,
      .options = config.collector_options,
      .interval = config.interval,
      .labels = config.target_labels(),
      .series_max = ground.series_max,
      .series_count = std::make_shared<std::size_t>(0),
      .room = ground.room,
      .relabel = config.relabel_of(),
      .relabel_about = config.relabel_about(),
      .wakeup = ground.wakeup,
      .on_health_change = ground.on_health_change,
      .on_complaint = ground.on_complaint,
      .self_samples = [&self = ground.self_metrics](metrics::SeriesWriter& out) {
        self.add_to(out);
      }};
  HostSources sources{.host = std::make_unique<sources::HostSource>(setup), .costly = nullptr};
  setup.name = sources::kCostlySource;
  setup.collectors = sources::collectors_of(config.collectors, true);
  setup.interval = config.costly_interval;
  setup.self_samples = nullptr;
  if (!setup.collectors.empty())
    sources.costly = std::make_unique<sources::HostSource>(std::move(setup));
  return sources;
}

/// How the collectors of both sources did, by name. `costly` may be null.
std::vector<sources::HostSource::Outcome> outcomes_of(const sources::HostSource& host,
                                                      const sources::HostSource* costly) {
  auto outcomes = host.outcomes();
  if (costly != nullptr) {
    for (const auto& outcome : costly->outcomes()) outcomes.push_back(outcome);
  }
  std::ranges::sort(outcomes, {}, &sources::HostSource::Outcome::name);
  return outcomes;
}

/// Whether two configurations make the same scrapes at the same moments.
bool scrape_alike(const config::Config& a, const config::Config& b) {
  return a.interval == b.interval && a.costly_interval == b.costly_interval &&
         a.series_max == b.series_max && a.collectors == b.collectors &&
         a.collector_options == b.collector_options && a.target_labels() == b.target_labels() &&
         a.relabel == b.relabel && a.metrics == b.metrics;
}

std::string identity_of(const config::Config& config) {
  return cat(config.customer_id, "/", config.server_name);
}

std::string start_line(const config::Config& config) {
  std::string endpoints;
  for (const auto& endpoint : config.endpoints) {
    endpoints += cat(endpoints.empty() ? "" : ", ", endpoint.name());
  }
  const auto targets = config::scrape_targets(config).size() + config.probes.size();
  return cat("msp-agent " MSP_AGENT_VERSION ": ", config.customer_id, "/", config.server_name,
             ": every ", duration_text(nanoseconds(config.interval).count()), " ",
             config.collectors.size(), " collectors",
             targets == 0 ? "" : cat(" and ", targets, targets == 1 ? " target" : " targets"),
             " to ", endpoints);
}

void tell_what_was_kept(const delivery::AgentStats& stats, const queue::Queue& queue) {
  for (const auto& endpoint : stats.endpoints) {
    const auto samples = queue.state(endpoint.number).samples;
    if (samples == 0) continue;
    log_info(cat(grouped(samples), " samples of an earlier run are kept for ", endpoint.name));
  }
}

void tell_what_is_left(const delivery::AgentStats& stats, const queue::Queue& queue) {
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
constexpr unsigned kTicksOfStart = 4;  // then all that a good day needs has been in use

/// What came to an end in time at a stop. A thread that did not uses the agent until the process
/// ends.
struct Ended {
  bool delivery = false;
  bool disk = false;
};

/// The main thread's work: ticks, signals, what the service manager is told.
class Agent {
 public:
  Agent(const config::Config& config, const collectors::HostPaths& paths,
        const ReadConfig& read_config, queue::Queue& queue)
      : config_(config),
        read_config_(read_config),
        queue_(queue),
        spiller_(queue),
        last_stop_(config.buffer.path, boot_id()),
        self_metrics_(stats_, &queue_, &last_stop_),
        ground_{.paths = paths, .self_metrics = self_metrics_},
        targets_(
            {.wakeup = ground_.wakeup,
             .room = ground_.room,
             .on_thread_failure = [this](const std::string& reason) { fail(reason); },
             .on_health_change = ground_.on_health_change,
             .on_bad_lines = [](std::string_view target,
                                std::string_view text) { log_warning(cat(target, ": ", text)); }}),
        scheduler_(
            {.clock = real_clock(),
             .identity = identity_of(config_),
             .on_scrape = [this](const sources::Source& source,
                                 metrics::Scrape scrape) { take(source, std::move(scrape)); },
             .on_timed = [this](metrics::Scrape scrape) { queue_.append(std::move(scrape)); },
             .on_missed =
                 [this](const sources::Source& source, std::uint64_t ticks) {
                   if (source.name() == sources::kHostSource) stats_.ticks_skipped += ticks;
                 }}),
        service_(Notify::from_environment()),
        status_file_(config_.buffer),
        delivery_({.queue = queue_,
                   .stats = stats_,
                   .on_thread_failure = [this](const std::string& reason) { fail(reason); },
                   .connect = [this](const config::EndpointConfig& endpoint,
                                     const StopToken& stop) { return connect(endpoint, stop); },
                   .on_state_change =
                       [this] {
                         has_news_ = true;
                         ground_.wakeup->wake();
                       }}),
        listener_({.paths = paths,
                   .queue = &queue_,
                   .path = path_,
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
    set_targets({});
    listen();
    int signal = 0;
    while (signal != SIGTERM && signal != SIGINT && signal != SIGPWR) {
      signal =
          signals.wait(*ground_.wakeup,
                       std::min({scheduler_.due_ns(), service_.due_ns(), status_file_.due_ns()}));
      if (signal == SIGHUP) {
        reload();
        has_news_ = true;
      }
      const auto now_ns = clock_ns(CLOCK_BOOTTIME);
      if (signal == kStatusSignal) status_file_.asked(now_ns);
      if (has_news_.exchange(false)) {
        service_.changed(now_ns);
        status_file_.changed(now_ns);
      }
      // What is due before the next tick is said at this one: the host is woken once for both. Before
      // the tick: then what was collected at the one before has been delivered.
      const bool is_tick = now_ns >= scheduler_.due_ns();
      const auto due_ns = now_ns + (is_tick ? nanoseconds(config_.interval).count() : 0);
      if (due_ns >= service_.due_ns()) service_.report(now_ns, make_report(stats_, queue_));
      if (due_ns >= status_file_.due_ns()) write_status(now_ns);
      delivery_.reap();
      scheduler_.run();
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
    stats_.config_hash = config_.hash;
    auto thread = Thread::start(
        "the buffer's disk",
        [this] {
          last_stop_.begin();
          spiller_.run(stop_spiller_.token());
          if (stop_reason_ != StopReason::none) last_stop_.end(stop_reason_);
        },
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
    const auto memory = memory_limit();
    const auto limit = series_limit(config_.series_max, memory);
    if (memory) ground_.room->max = series_that_fit(*memory);
    if (!limit.warning.empty()) log_warning(limit.warning);
    ground_.series_max = limit.series_max;
    auto sources = make_host(config_, ground_);
    host_ = sources.host.get();
    costly_ = sources.costly.get();
    scheduler_.add(std::move(sources.host));
    if (costly_ != nullptr) {
      scheduler_.add(std::move(sources.costly));
    } else {
      scheduler_.remove(sources::kCostlySource);
    }
  }

  /// What a relay sends says where it was.
  delivery::RemoteWriteClient::Post connect(const config::EndpointConfig& endpoint,
                                            const StopToken& stop) const {
    auto post = delivery::connect_over_http(endpoint, stop);
    return [post = std::move(post), path = path_, &receives = receives_](
               std::string_view body, const std::vector<std::string>& headers) {
      if (!receives) return post(body, headers);
      auto all = headers;
      all.push_back(path->header_line(monotonic_ns()));
      return post(body, all);
    };
  }

  /// Samples are collected and sent in any case.
  void listen() {
    receives_ = config_.listen.receive;
    // What carries a relay's backlog is given back after each request, and not kept for the next one;
    // what each commit needs is not asked for anew.
    if (receives_) {
      mallopt(M_MMAP_THRESHOLD, 1 << 20);
      mallopt(M_TRIM_THRESHOLD, 2 << 20);
    }
    if (const auto listening = listener_.set(config_); !listening) {
      log_error(cat("listen: ", listening.error().text, "; it is tried again every 10 s"));
    }
    self_metrics_.set_received(listener_.received());
  }

  void set_targets(const config::Config& before) {
    auto sources = targets_.set(config_, before, [this](const std::string& name) {
      scheduler_.remove(name);
      samples_per_tick_.erase(name);
    });
    for (auto& source : sources) scheduler_.add(std::move(source));
  }

  void take(const sources::Source& source, metrics::Scrape scrape) {
    targets_.tell(source);
    samples_per_tick_[source.name()] = scrape.values.size();
    stats_.duplicate_samples += source.health().duplicates;
    newest_ms_ = std::max(newest_ms_, scrape.timestamp_ms);
    queue_.append(std::move(scrape));
    const auto now_ns = clock_ns(CLOCK_BOOTTIME);
    service_.ticked(now_ns);
    status_file_.ticked(now_ns);
    if (&source == host_ && ++ticks_ == kTicksOfStart) release_program_pages();
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
                                .collectors = outcomes_of(*host_, costly_),
                                .sources = scheduler_.sources(),
                                .listen = listener_.report(),
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
    stats_.reload_failed = !applied;
    if (applied) {
      log_info(cat("reloaded: ", start_line(config_)));
      ticks_ = 0;
    } else {
      if (config) log_error(applied.error().text);
      log_error(
          "the configuration was not reloaded, for the reason above: the one before stays in "
          "force; correct it and reload again");
    }
    service_.reloaded();
  }

  /// After an error nothing has changed.
  Result<void> apply(config::Config config) {
    if (config.buffer != config_.buffer) {
      log_warning(
          "reload: what has changed under buffer needs a restart: systemctl restart msp-agent; "
          "the rest is applied");
      config.buffer = config_.buffer;
    }
    if (config.endpoints.empty()) {
      return failed("reload: without remote_write the agent is an exporter: that needs a restart");
    }
    const bool same_scrapes = scrape_alike(config, config_);
    if (auto set = delivery_.set_endpoints(config); !set) return set;
    const auto before = std::exchange(config_, std::move(config));
    stats_.config_hash = config_.hash;
    make_room_for_files();
    scheduler_.set_identity(identity_of(config_));
    if (!same_scrapes) set_host();
    set_targets(before);
    listen();
    return {};
  }

  /// A sample of msp_agent_stop_reason alone, later than all others: without it nobody could tell
  /// a stop from a crash. Of series that end with the agent there is no stale marker.
  void say_why_it_stops() {
    sources::HostSource last(
        {.name = "stop",
         .collectors = {},
         .paths = ground_.paths,
         .labels = config_.target_labels(),
         .relabel = config_.relabel_of(),
         .relabel_about = config_.relabel_about(),
         .self_samples =
             [&](metrics::SeriesWriter& out) { SelfMetrics::add_stop(stop_reason_, out); },
         .is_tick = false});
    const metrics::Tick tick{1, std::max(wall_ns(), (newest_ms_ + 1) * kNsPerMs)};
    auto scrape = sources::scrape_now(last, tick, *ground_.wakeup);
    scrape.timestamp_ms = tick.wall_ns / kNsPerMs;
    queue_.append(std::move(scrape));
  }

  bool has_failed() {
    const std::lock_guard lock(failure_mutex_);
    return !failure_.empty();
  }

  Ended stop(int signal) {
    const auto* const name = signal == SIGINT ? "SIGINT" : "SIGTERM";
    const auto line =
        cat(signal == SIGPWR ? "SIGPWR: the host shuts down" : name, ": sending what is left");
    log_info(line);
    service_.stopping(line);
    listener_.stop();
    scheduler_.stop();
    if (!has_failed()) {
      stop_reason_ = signal == SIGPWR ? StopReason::shutdown : StopReason::stop;
      say_why_it_stops();
    }
    Ended ended;
    ended.delivery = delivery_.stop(monotonic_ns() + kFlushMaxNs);
    const auto deadline_ns = monotonic_ns() + kCloseMaxNs;
    stop_spiller_.request_stop(deadline_ns);
    ended.disk = spiller_thread_.join_until(deadline_ns);
    tell_what_is_left(stats_, queue_);
    if (ended.disk) write_status(clock_ns(CLOCK_BOOTTIME), true);
    return ended;
  }

  config::Config config_;
  const ReadConfig& read_config_;
  queue::Queue& queue_;
  queue::Spiller spiller_;
  StopSource stop_spiller_;
  Thread spiller_thread_;
  std::mutex failure_mutex_;
  std::string failure_;
  delivery::AgentStats stats_;
  LastStop last_stop_;
  std::atomic<StopReason> stop_reason_ = StopReason::none;
  std::atomic<bool> has_news_ = false;  // of the endpoints
  std::int64_t newest_ms_ = 0;          // of the scrapes that the queue has
  SelfMetrics self_metrics_;
  Ground ground_;
  Targets targets_;  // outlives its sources, which are the scheduler's
  std::map<std::string, std::size_t, std::less<>> samples_per_tick_;  // by source
  unsigned ticks_ = 0;  // of the host, since the start or the last reload
  sources::Scheduler scheduler_;
  const sources::HostSource* host_ = nullptr;    // the scheduler's
  const sources::HostSource* costly_ = nullptr;  // the scheduler's; may be null
  Service service_;
  StatusFile status_file_;
  std::atomic<bool> receives_ = false;
  const std::shared_ptr<relay::RelayPath> path_ = std::make_shared<relay::RelayPath>();
  delivery::Delivery delivery_;
  Listener listener_;
};

/// As one scrape, for whoever does not ask for the times.
void take_in(const std::vector<metrics::Scrape>& all_timed, metrics::Scrape& scrape) {
  if (all_timed.empty()) return;
  auto all = std::make_shared<metrics::SeriesSet>(*scrape.series);
  for (const auto& timed : all_timed) {
    all->insert(all->end(), timed.series->begin(), timed.series->end());
    scrape.values.insert(scrape.values.end(), timed.values.begin(), timed.values.end());
  }
  scrape.series = std::move(all);
}

}  // namespace

Result<void> run_agent(const config::Config& config, const collectors::HostPaths& paths,
                       const ReadConfig& read_config) {
  // One heap for all threads: they allocate little and never at the same time for long. A heap per
  // thread would keep what each needed at its worst.
  mallopt(M_ARENA_MAX, 1);
  const auto signals = Signals::open();
  if (!signals) return signals.error();
  signal(SIGPIPE, SIG_IGN);
  if (config.endpoints.empty()) return run_exporter(config, paths, read_config, *signals);
  http::init_http();

  auto opened = queue::Queue::open(queue_options(config));
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

Collected collect(const config::Config& config, const collectors::HostPaths& paths, int ticks,
                  std::chrono::nanoseconds apart, OnHealthChange on_health_change,
                  OnComplaint on_complaint) {
  delivery::AgentStats stats;
  stats.config_hash = config.hash;
  for (const auto& endpoint : config.endpoints) stats.endpoints.emplace_back(endpoint.name());
  SelfMetrics self_metrics(stats, nullptr);
  Ground ground{.paths = paths, .self_metrics = self_metrics, .series_max = config.series_max};
  if (on_health_change) ground.on_health_change = std::move(on_health_change);
  if (on_complaint) ground.on_complaint = std::move(on_complaint);
  Targets targets({.wakeup = ground.wakeup,
                   .on_health_change = ground.on_health_change,
                   .on_bad_lines = [&](std::string_view target, std::string_view text) {
                     ground.on_complaint(target, text, false);
                   }});
  if (!config.scrape.empty() || !config.probes.empty()) {
    signal(SIGPIPE, SIG_IGN);
    http::init_http();
  }
  auto hosts = make_host(config, ground);
  const auto* const host = hosts.host.get();
  const auto* const costly = hosts.costly.get();
  std::vector<std::unique_ptr<sources::Source>> sources;
  sources.push_back(std::move(hosts.host));
  if (costly != nullptr) sources.push_back(std::move(hosts.costly));
  for (auto& target : targets.set(config, {})) sources.push_back(std::move(target));
  Collected collected;
  for (int tick = 1; tick <= ticks; ++tick) {
    if (tick > 1) std::this_thread::sleep_for(apart);
    const metrics::Tick now{static_cast<std::uint64_t>(tick), wall_ns()};
    // The host last: the others only start something, and its collectors may wait.
    for (auto source = sources.rbegin(); source != sources.rend(); ++source) (*source)->begin(now);
    auto& scrapes = collected.ticks.emplace_back();
    collected.samples_per_second = 0;
    for (const auto& source : sources) {
      scrapes.push_back(sources::finish_now(*source, now, *ground.wakeup));
      targets.tell(*source);
      take_in(source->take_timed(), scrapes.back());
      collected.samples_per_second +=
          static_cast<double>(scrapes.back().values.size()) /
          std::chrono::duration<double>(source->options().interval).count();
    }
  }
  for (const auto& outcome : outcomes_of(*host, costly)) {
    collected.collectors.push_back({outcome.name, outcome.success, outcome.has_data,
                                    outcome.duration_seconds, outcome.series,
                                    std::string(outcome.error)});
  }
  return collected;
}

}  // namespace msp::run
