#include "agent/run/agent.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
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
#include "agent/run/open_files.h"
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

/// What makes a scrape: the collectors, and what the agent says of itself.
struct Source {
  /// `queue` may be null: a dry run.
  Source(const Config& config, const HostPaths& paths, const AgentStats& stats, const Queue* queue,
         OnHealthChange on_health_change = tell_health(), OnComplaint on_complaint = tell_complaint)
      : self_metrics(stats, queue),
        scraper({.collectors = config.collectors,
                 .paths = paths,
                 .options = config.collector_options,
                 .labels = config.target_labels(),
                 .host = {},
                 .on_health_change = std::move(on_health_change),
                 .on_complaint = std::move(on_complaint),
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
        paths_(paths),
        read_config_(read_config),
        queue_(queue),
        spiller_(queue),
        source_(std::make_unique<Source>(config_, paths_, stats_, &queue_)),
        schedule_(make_schedule(config_)),
        service_(Notify::from_environment()),
        status_file_(config_.buffer),
        delivery_({.queue = queue_,
                   .stats = stats_,
                   .on_thread_failure = [this](const std::string& reason) { fail(reason); },
                   .connect = connect}) {}

  /// Ticks until a signal says stop. An error is why it could not go on, in words for the log. An
  /// exception ends the process where it is thrown (main.cpp): on its way up it would meet
  /// destructors of what threads use.
  Result<Ended> run(const sigset_t& signals) noexcept {
    if (auto started = start(); !started) return started.error();
    log_info(start_line(config_));
    make_room_for_files();
    tell_what_was_kept(stats_, queue_);
    int signal = 0;
    while (signal != SIGTERM && signal != SIGINT) {
      signal = wait_for_signal(
          signals, std::min({schedule_.due_ns(), service_.due_ns(), status_file_.due_ns()}));
      if (signal == SIGHUP) reload();
      const auto now_ns = clock_ns(CLOCK_BOOTTIME);
      if (now_ns >= service_.due_ns()) service_.report(now_ns, make_report(stats_, queue_));
      if (now_ns >= schedule_.due_ns()) tick(now_ns);
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

  static RemoteWriteClient::Post connect(const EndpointConfig& endpoint, const StopToken& stop) {
    const auto client = std::make_shared<HttpClient>(endpoint, stop);
    return [client](std::string_view body, const std::vector<std::string>& headers) {
      return client->send({.method = "POST", .headers = headers, .body = body});
    };
  }

  void make_room_for_files() const {
    const auto problem = raise_open_files(open_files_needed(config_));
    if (!problem.empty()) log_warning(problem);
  }

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
    queue_.append(std::move(scrape));
    service_.ticked(clock_ns(CLOCK_BOOTTIME));
    status_file_.ticked(clock_ns(CLOCK_BOOTTIME));
  }

  void write_status(std::int64_t now_ns, bool stopped = false) {
    // Asked only where the status itself is written to that disk: this thread waits for no other.
    const auto& buffer = config_.buffer;
    const auto disk = buffer.head_path == buffer.path ? disk_space(buffer.path) : std::nullopt;
    status_file_.write(now_ns, {.config = config_,
                                .service = make_report(stats_, queue_),
                                .buffer = queue_.state(),
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
    const bool same_ticks = config.interval == config_.interval &&
                            config.customer_id == config_.customer_id &&
                            config.server_name == config_.server_name;
    if (auto set = delivery_.set_endpoints(config); !set) return set;
    config_ = std::move(config);
    make_room_for_files();
    if (!same_ticks) schedule_ = make_schedule(config_);
    if (same_scrapes) return {};
    if (series_before_reload_ == nullptr) series_before_reload_ = last_series_;
    source_ = std::make_unique<Source>(config_, paths_, stats_, &queue_);
    return {};
  }

  Ended stop(int signal) {
    const auto line = cat(signal == SIGINT ? "SIGINT" : "SIGTERM", ": sending what is left");
    log_info(line);
    service_.stopping(line);
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
  const HostPaths& paths_;
  const ReadConfig& read_config_;
  Queue& queue_;
  Spiller spiller_;
  StopSource stop_spiller_;
  Thread spiller_thread_;
  std::mutex failure_mutex_;
  std::string failure_;
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

  auto opened = Queue::open(queue_options(config));
  if (!opened) return opened.error();
  auto agent = std::make_unique<Agent>(config, paths, read_config, **opened);
  const auto ended = agent->run(signals);
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

std::vector<Scrape> collect(const Config& config, const HostPaths& paths, int ticks,
                            std::chrono::nanoseconds apart, OnHealthChange on_health_change,
                            OnComplaint on_complaint) {
  AgentStats stats;
  for (const auto& endpoint : config.endpoints) stats.endpoints.emplace_back(endpoint.name());
  if (!on_health_change) on_health_change = tell_health();
  if (!on_complaint) on_complaint = tell_complaint;
  Source source(config, paths, stats, nullptr, std::move(on_health_change),
                std::move(on_complaint));
  std::vector<Scrape> scrapes;
  for (int tick = 0; tick < ticks; ++tick) {
    if (tick > 0) std::this_thread::sleep_for(apart);
    scrapes.push_back(source.scraper.scrape(wall_ns()));
  }
  return scrapes;
}

}  // namespace msp
