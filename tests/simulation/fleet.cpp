#include "tests/simulation/fleet.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "agent/base/text.h"
#include "agent/delivery/sender.h"
#include "agent/queue/compression.h"
#include "agent/queue/queue.h"
#include "agent/queue/spiller.h"
#include "agent/sources/schedule.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_file_system.h"
#include "write_request.pb.h"

namespace msp::simulation {
namespace {

constexpr std::int64_t kSecond = kNsPerSecond;
constexpr std::size_t kMessageMax = 64 << 20;

class FleetAgent {
 public:
  FleetAgent(const FleetPlan& plan, std::size_t number, FleetOutcome& outcome)
      : plan_(plan),
        outcome_(outcome),
        random_(number + 1),
        down_ns_(clock_.monotonic_ns() + plan.before_s * kSecond),
        up_ns_(down_ns_ + plan.outage_s * kSecond),
        end_ns_(up_ns_ + plan.after_s * kSecond),
        schedule_(std::chrono::seconds(plan.interval_s), cat("alpha/server-", number),
                  clock_.wall_ns(), clock_.monotonic_ns()) {
    outcome_.seconds.resize(static_cast<std::size_t>(plan.outage_s + plan.after_s));
    metrics::SeriesSet set;
    static constexpr metrics::MetricDesc kFamily{"fleet_value", "Made up.", "",
                                                 metrics::MetricType::gauge, "n"};
    for (std::size_t i = 0; i < plan.series; ++i) {
      const auto labels = metrics::Labels({{"__name__", std::string(kFamily.name)}, {"n", cat(i)}});
      set.push_back(std::make_shared<const metrics::Series>(metrics::Series{labels, &kFamily}));
    }
    series_ = std::make_shared<const metrics::SeriesSet>(std::move(set));
    queue::Queue::Options options;
    options.folder = "/disk/buffer";
    options.wal_folder = "/run/buffer";
    options.files = &files_;
    options.clock = &clock_;
    queue_ = std::move(*queue::Queue::open(std::move(options)));
    spiller_ = std::make_unique<queue::Spiller>(*queue_);
    queue_->add_consumer("centre");
    config_.url = "http://centre";
    sender_ = std::make_unique<delivery::Sender>(
        delivery::Sender::Setup{.endpoint = config_,
                                .interval = std::chrono::seconds(plan.interval_s),
                                .queue = *queue_,
                                .consumer = 0,
                                .stats = stats_,
                                .clock = clock_,
                                .seed = number + 1},
        [this](std::string_view body, const std::vector<std::string>&) { return post(body); },
        stop_.token());
  }

  void run() {
    tick();
    round();
    std::mutex mutex;
    std::condition_variable changed;
    while (clock_.monotonic_ns() < end_ns_) {
      is_woken_ = false;
      const auto next = sender_->step();
      if (next.due_ns <= clock_.monotonic_ns() && !next.is_idle) continue;
      if (next.is_idle && clock_.monotonic_ns() > up_ns_ && caught_up_ns_ == 0) {
        caught_up_ns_ = clock_.monotonic_ns();
      }
      std::unique_lock lock(mutex);
      while (!is_woken_ && clock_.monotonic_ns() < std::min(next.due_ns, end_ns_)) {
        clock_.wait(lock, changed, std::min(next.due_ns, end_ns_));
      }
    }
    outcome_.appended += is_stored_.size();
    const auto stored = std::count(is_stored_.begin(), is_stored_.end(), true);
    outcome_.stored += static_cast<std::uint64_t>(stored);
    outcome_.lost += is_stored_.size() - static_cast<std::uint64_t>(stored) - waiting();
    outcome_.fresh_ns_max =
        std::max(outcome_.fresh_ns_max, (fresh_ns_ == 0 ? end_ns_ : fresh_ns_) - up_ns_);
    outcome_.caught_up_ns_max = std::max(outcome_.caught_up_ns_max,
                                         (caught_up_ns_ == 0 ? end_ns_ : caught_up_ns_) - up_ns_);
  }

 private:
  std::uint64_t waiting() const { return queue_->state(0).samples; }

  void tick() {
    if (clock_.monotonic_ns() >= schedule_.due_ns()) {
      schedule_.tick(clock_.monotonic_ns());
      times_ms_.push_back(clock_.wall_ns() / kNsPerMs);
      is_stored_.resize(is_stored_.size() + plan_.series);
      std::vector<double> values;
      for (std::size_t i = 0; i < plan_.series; ++i) values.push_back(static_cast<double>(i));
      static const auto kHost = std::make_shared<const metrics::Stream>(
          metrics::Stream{std::string(delivery::kLeadStream)});
      queue_->append(metrics::Scrape{times_ms_.back(), series_, std::move(values), kHost});
      is_woken_ = true;
    }
    clock_.at(schedule_.due_ns(), [this] { tick(); });
  }

  void round() {
    const auto now_ns = clock_.monotonic_ns();
    const auto due_ns = spiller_->round();
    clock_.at(std::clamp(due_ns, now_ns + kSecond, now_ns + 5 * kSecond), [this] { round(); });
  }

  http::HttpAnswer post(std::string_view body) {
    const auto now_ns = clock_.monotonic_ns();
    const bool is_away = now_ns >= down_ns_ && now_ns < up_ns_;
    bool is_live = true;
    http::HttpAnswer answer;
    answer.status = is_away ? 502 : 204;
    if (!is_away) is_live = store(body);
    if (now_ns >= down_ns_) {
      auto& second = outcome_.seconds[static_cast<std::size_t>((now_ns - down_ns_) / kSecond)];
      ++(is_away ? second.refused : is_live ? second.live : second.backlog);
    }
    // Between hosts and a centre of some hundred kilometres, and the time of an insert.
    const auto takes_ms =
        is_away ? 5 : std::uniform_int_distribution<std::int64_t>(10, 80)(random_);
    clock_.advance(takes_ms * kNsPerMs);
    return answer;
  }

  /// Whether all of it is new.
  bool store(std::string_view body) {
    const auto message = queue::decompress_frames(body, kMessageMax);
    prometheus::WriteRequest request;
    if (!message || !request.ParseFromString(*message)) return false;
    const auto now_ms = clock_.wall_ns() / kNsPerMs;
    auto oldest_ms = now_ms;
    for (const auto& series : request.timeseries()) {
      std::size_t number = 0;
      for (const auto& label : series.labels()) {
        if (label.name() == "n") number = *parse_number<std::size_t>(label.value());
      }
      for (const auto& sample : series.samples()) {
        oldest_ms = std::min(oldest_ms, sample.timestamp());
        const auto time = std::ranges::lower_bound(times_ms_, sample.timestamp());
        const auto tick = static_cast<std::size_t>(time - times_ms_.begin());
        const auto at = tick * plan_.series + number;
        if (is_stored_.at(at)) ++outcome_.twice;
        is_stored_[at] = true;
        if (sample.timestamp() == times_ms_.back() && fresh_ns_ == 0 &&
            clock_.monotonic_ns() >= up_ns_) {
          fresh_ns_ = clock_.monotonic_ns();
        }
      }
    }
    return now_ms - oldest_ms <= plan_.interval_s * 1'500;
  }

  const FleetPlan& plan_;
  FleetOutcome& outcome_;
  test::FakeClock clock_;
  test::MemoryFileSystem files_;
  std::mt19937_64 random_;
  const std::int64_t down_ns_;
  const std::int64_t up_ns_;
  const std::int64_t end_ns_;
  sources::Schedule schedule_;
  std::shared_ptr<const metrics::SeriesSet> series_;
  std::unique_ptr<queue::Queue> queue_;
  std::unique_ptr<queue::Spiller> spiller_;
  config::EndpointConfig config_;
  delivery::EndpointStats stats_{"http://centre"};
  StopSource stop_{clock_};
  std::unique_ptr<delivery::Sender> sender_;
  std::vector<std::int64_t> times_ms_;  // of the ticks
  std::vector<bool> is_stored_;         // of each tick, each series
  std::int64_t fresh_ns_ = 0;
  std::int64_t caught_up_ns_ = 0;
  bool is_woken_ = false;
};

}  // namespace

void run_agent(const FleetPlan& plan, std::size_t number, FleetOutcome& outcome) {
  FleetAgent(plan, number, outcome).run();
}

}  // namespace msp::simulation
