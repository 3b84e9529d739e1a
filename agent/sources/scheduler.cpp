#include "agent/sources/scheduler.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "agent/base/text.h"

namespace msp::sources {
namespace {

// Sources that are due this close together share a wake-up.
constexpr std::int64_t kTogetherNs = 5 * kNsPerMs;
// The first tick is at once; the next point of the grid may come right after it, and has little to
// say.
constexpr std::int64_t kApartNs = 100 * kNsPerMs;
constexpr std::int64_t kStampsKeptNs = 3600 * kNsPerSecond;

}  // namespace

Stamps::Stamps(std::chrono::nanoseconds interval)
    : kept_max_(static_cast<std::size_t>(kStampsKeptNs /
                                         std::max<std::int64_t>(interval.count(), kNsPerSecond)) +
                1) {}

std::int64_t Stamps::take(std::int64_t wanted_ms) {
  if (wanted_ms <= newest_ms_) {
    while (std::find(used_.begin(), used_.end(), wanted_ms) != used_.end()) ++wanted_ms;
  }
  newest_ms_ = std::max(newest_ms_, wanted_ms);
  used_.push_back(wanted_ms);
  if (used_.size() > kept_max_) used_.pop_front();
  return wanted_ms;
}

struct Scheduler::Entry {
  std::unique_ptr<Source> source;
  Schedule schedule;
  Stamps stamps;
  metrics::Tick tick = {};
  bool has_begun = false;
  bool was_late = false;                                       // when it began
  std::int64_t begun_ns = INT64_MIN / 2;                       // boottime, as all here
  std::int64_t deadline_ns = 0;                                // of the tick that has begun
  std::int64_t look_ns = 0;                                    // when to ask it again
  std::shared_ptr<const metrics::SeriesSet> series = nullptr;  // of the last scrape
  std::shared_ptr<const metrics::SeriesSet> series_before =
      nullptr;  // of the source that it replaced
};

Scheduler::Scheduler(Setup setup) : setup_(std::move(setup)) {}
Scheduler::~Scheduler() = default;

Schedule Scheduler::make_schedule(const Source& source) const {
  const auto& identity = setup_.identity;
  return Schedule(source.options().interval,
                  source.options().is_spread ? cat(identity, "/", source.name()) : identity,
                  setup_.clock.wall_ns(), setup_.clock.boottime_ns());
}

Scheduler::Entry* Scheduler::find(std::string_view name) {
  for (const auto& entry : entries_) {
    if (entry->source->name() == name) return entry.get();
  }
  return nullptr;
}

void Scheduler::add(std::unique_ptr<Source> source) {
  auto* entry = find(source->name());
  if (entry == nullptr) {
    const auto interval = source->options().interval;
    auto schedule = make_schedule(*source);
    entries_.push_back(std::make_unique<Entry>(
        Entry{.source = std::move(source), .schedule = schedule, .stamps = Stamps(interval)}));
    return;
  }
  std::vector<Finished> finished;
  finish_early(*entry, finished);
  deliver(std::move(finished));
  const bool same_grid = source->options().interval == entry->source->options().interval;
  entry->source = std::move(source);
  entry->tick.number = 0;
  if (entry->series) entry->series_before = std::exchange(entry->series, nullptr);
  if (!same_grid) entry->schedule = make_schedule(*entry->source);
}

void Scheduler::remove(std::string_view name) {
  auto* entry = find(name);
  if (entry == nullptr) return;
  const auto series = entry->series ? entry->series : entry->series_before;
  if (series) {
    const auto now_ms = setup_.clock.wall_ns() / kNsPerMs;
    metrics::Scrape last{entry->stamps.take(now_ms), series, {}, entry->source->stream()};
    last.values.assign(series->size(), metrics::stale_marker());
    setup_.on_scrape(*entry->source, std::move(last));
  }
  std::erase_if(entries_, [&](const auto& other) { return other.get() == entry; });
}

void Scheduler::set_identity(std::string identity) {
  if (identity == setup_.identity) return;
  setup_.identity = std::move(identity);
  for (const auto& entry : entries_) entry->schedule = make_schedule(*entry->source);
}

std::int64_t Scheduler::due_ns() const {
  auto due_ns = kNeverNs;
  for (const auto& entry : entries_) {
    due_ns = std::min(due_ns, entry->schedule.due_ns());
    if (entry->has_begun) due_ns = std::min({due_ns, entry->look_ns, entry->deadline_ns});
  }
  return due_ns;
}

void Scheduler::run() {
  std::vector<Finished> finished;
  const auto now_ns = setup_.clock.boottime_ns();
  finish_ready(now_ns, finished);
  for (const auto& entry : entries_) {
    if (entry->schedule.due_ns() <= now_ns + kTogetherNs) begin(*entry, now_ns);
  }
  finish_ready(setup_.clock.boottime_ns(), finished);
  deliver(std::move(finished));
}

void Scheduler::begin(Entry& entry, std::int64_t now_ns) {
  auto& source = *entry.source;
  const bool is_late = now_ns > entry.schedule.due_ns() + kTogetherNs;
  auto missed = entry.schedule.tick(std::max(now_ns, entry.schedule.due_ns()));
  const bool begins = !entry.has_begun && now_ns - entry.begun_ns >= kApartNs;
  // Right after a tick that was at once, and not late, nothing is missed.
  if (!begins && (entry.has_begun || entry.was_late)) ++missed;
  if (missed > 0 && setup_.on_missed) setup_.on_missed(source, missed);
  if (!begins) return;
  entry.has_begun = true;
  entry.was_late = is_late;
  entry.begun_ns = now_ns;
  entry.deadline_ns =
      now_ns + std::min(source.options().deadline, source.options().interval).count();
  ++entry.tick.number;
  entry.tick.wall_ns = setup_.clock.wall_ns();
  source.begin(entry.tick);
}

void Scheduler::finish_ready(std::int64_t now_ns, std::vector<Finished>& finished) {
  for (const auto& entry : entries_) {
    if (!entry->has_begun) continue;
    const auto wait_ns = now_ns < entry->deadline_ns ? entry->source->wait_ns() : 0;
    entry->look_ns = now_ns + wait_ns;
    if (wait_ns <= 0) finished.push_back({entry->source.get(), finish(*entry)});
  }
}

metrics::Scrape Scheduler::finish(Entry& entry) {
  entry.has_begun = false;
  auto scrape = entry.source->finish(entry.tick);
  const auto stamp_ms = entry.stamps.take(scrape.timestamp_ms);
  if (stamp_ms != scrape.timestamp_ms) ++moved_;
  scrape.timestamp_ms = stamp_ms;
  entry.series = scrape.series;
  if (const auto before = std::exchange(entry.series_before, nullptr)) {
    metrics::end_missing_series(*before, scrape);
  }
  return scrape;
}

/// Together, after all were made, and the first source's last: the queue wakes those that send, and
/// the host's scrape, which is the first, takes the others with it.
void Scheduler::deliver(std::vector<Finished> finished) {
  for (auto& [source, scrape] : finished | std::views::reverse) {
    for (auto& timed : source->take_timed()) {
      if (setup_.on_timed) setup_.on_timed(std::move(timed));
    }
    setup_.on_scrape(*source, std::move(scrape));
  }
}

void Scheduler::stop() {
  std::vector<Finished> finished;
  for (const auto& entry : entries_) finish_early(*entry, finished);
  deliver(std::move(finished));
}

/// Where that says something.
void Scheduler::finish_early(Entry& entry, std::vector<Finished>& finished) {
  if (!entry.has_begun) return;
  entry.has_begun = false;
  if (!entry.source->may_be_cut_short() && entry.source->wait_ns() > 0) return;
  finished.push_back({entry.source.get(), finish(entry)});
}

std::vector<const Source*> Scheduler::sources() const {
  std::vector<const Source*> sources;
  for (const auto& entry : entries_) sources.push_back(entry->source.get());
  return sources;
}

}  // namespace msp::sources
