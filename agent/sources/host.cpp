#include "agent/sources/host.h"

#include <algorithm>
#include <utility>

#include "agent/base/failed_open.h"
#include "agent/base/text.h"

namespace msp::sources {
namespace {

constexpr metrics::MetricDesc kUp{"up", "1 in every scrape that the agent makes.", "the agent"};
constexpr metrics::MetricDesc kDuration{"node_scrape_collector_duration_seconds",
                                        "node_exporter: Duration of a collector scrape.",
                                        "the agent", metrics::MetricType::gauge, "collector"};
constexpr metrics::MetricDesc kSuccess{"node_scrape_collector_success",
                                       "node_exporter: Whether a collector succeeded.", "the agent",
                                       metrics::MetricType::gauge, "collector"};

SourceOptions source_options(const HostSource::Setup& setup) {
  SourceOptions options;
  options.name = setup.name;
  options.labels = setup.labels;
  if (setup.interval.count() > 0) options.interval = setup.interval;
  // What collectors wait for has deadlines of its own, half an interval at most.
  options.deadline = options.interval * 3 / 4;
  options.series_max = setup.series_max;
  options.series_count = setup.series_count;
  options.room = setup.room;
  options.relabel = setup.relabel;
  options.relabel_about = setup.relabel_about;
  return options;
}

// Of a collector that has nothing to report: the host does not have what it reads. Somewhat less than
// a minute, for ticks are not exact.
constexpr std::int64_t kAskAgainNs = 55 * kNsPerSecond;

double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / kNsPerSecond;
}

}  // namespace

std::vector<std::string> collectors_of(const std::vector<std::string>& collectors, bool is_costly) {
  std::vector<std::string> names;
  for (const auto& entry : collectors::collector_registry()) {
    if (entry.type.costly.empty() == is_costly) continue;
    if (std::ranges::find(collectors, entry.name) != collectors.end()) {
      names.emplace_back(entry.name);
    }
  }
  return names;
}

HostSource::HostSource(Setup setup) : Source(source_options(setup)), setup_(std::move(setup)) {
  // Of two series with the same labels the scrape keeps that of the earlier writer.
  add_parts(false);
  self_ = &builder().add_exempt_writer();
  add_parts(true);
}

void HostSource::add_parts(bool that_give_way) {
  for (const auto& name : setup_.collectors) {
    for (const auto& entry : collectors::collector_registry()) {
      if (entry.name != name || entry.type.gives_way != that_give_way) continue;
      const auto& options = setup_.options.try_emplace(name, entry.options()).first->second;
      const collectors::CollectorContext context{setup_.paths, setup_.host,   options,
                                                 files_,       setup_.wakeup, setup_.interval};
      parts_.push_back({.name = entry.name,
                        .collector = entry.make(context),
                        .writer = &builder().add_writer(),
                        .empty_is_absent = entry.type.empty_is_absent});
    }
  }
}

HostSource::~HostSource() = default;

void HostSource::begin(const metrics::Tick& tick) {
  tick_ = tick;
  for (auto& part : parts_) begin(part);
  tick_.wall_ns = setup_.clock->wall_ns();
  for (auto& part : parts_) {
    if (!part.has_begun) collect(part);
  }
  begun_ns_ = setup_.clock->monotonic_ns();
}

void HostSource::begin(Part& part) {
  const auto begin_ns = setup_.clock->monotonic_ns();
  part.is_asked = begin_ns >= part.not_before_ns;
  part.has_begun = false;
  if (!part.is_asked) return;
  const auto begun = part.collector->begin(tick_);
  part.took_ns = setup_.clock->monotonic_ns() - begin_ns;
  part.has_begun = begun && *begun;
  if (!begun) part.begin_error = begun.error();
}

std::int64_t HostSource::wait_ns() {
  std::int64_t wait_ns = 0;
  for (auto& part : parts_) {
    if (part.has_begun) wait_ns = std::max(wait_ns, part.collector->wait_ns());
  }
  return wait_ns;
}

metrics::Scrape HostSource::finish(const metrics::Tick&) {
  const auto waited_ns = setup_.clock->monotonic_ns() - begun_ns_;
  for (auto& part : parts_) {
    if (!part.has_begun) continue;
    part.took_ns += waited_ns;
    collect(part);
  }
  builder().begin(*self_);
  if (setup_.self_samples && setup_.is_tick) self_->add(kUp, 1);
  add_health(*self_);
  if (setup_.self_samples) setup_.self_samples(*self_);
  if (const auto committed = builder().commit(*self_); !committed) {
    setup_.on_health_change("msp_agent", &committed.error());
  }
  auto scrape = builder().finish(tick_.wall_ns / kNsPerMs);
  tell_duplicates();
  return scrape;
}

void HostSource::collect(Part& part) {
  const auto begin_ns = setup_.clock->monotonic_ns();
  builder().begin(*part.writer);
  if (!part.is_asked) return builder().rollback(*part.writer);
  static_cast<void>(take_failed_open());
  Result<void> outcome;
  if (auto error = std::exchange(part.begin_error, std::nullopt)) {
    outcome = std::move(*error);
  } else {
    outcome = part.collector->collect(tick_, *part.writer);
  }
  // A folder that could not be listed is none that is empty.
  const int error = take_failed_open();
  if (error != 0 && (outcome || outcome.error().kind == Error::Kind::no_data)) {
    outcome = failed(cat("cannot open what it reads: ", errno_text(error)));
  }
  if (outcome) {
    outcome = builder().commit(*part.writer);
    if (part.writer->is_over_limit()) {
      outcome = failed(cat(outcome.error().text,
                           ": none of its samples is sent; leave out devices "
                           "or mount points under collectors.",
                           part.name, ", or raise series_max"));
    }
  } else {
    builder().rollback(*part.writer);
  }
  auto& complaints = part.writer->complaints();
  const bool has_complained = complaints.any();
  if (outcome) {
    complaints.end_tick([&](std::string_view text, bool is_over) {
      setup_.on_complaint(part.name, text, is_over);
    });
  } else {
    complaints.drop_tick();
  }
  part.took_ns += setup_.clock->monotonic_ns() - begin_ns;
  take(part, std::move(outcome), has_complained);
}

void HostSource::take(Part& part, Result<void> outcome, bool has_complained) {
  part.success = outcome.has_value();
  part.has_data = outcome || outcome.error().kind != Error::Kind::no_data;
  part.series = outcome ? part.writer->samples() : 0;
  const bool is_absent =
      !part.has_data || (part.empty_is_absent && outcome && part.series == 0 && !has_complained);
  part.not_before_ns = is_absent ? setup_.clock->monotonic_ns() + kAskAgainNs : 0;
  if (!outcome && outcome.error().text != part.last_error) {
    part.last_error = outcome.error().text;
    setup_.on_health_change(part.name, &outcome.error());
  } else if (outcome && !part.last_error.empty()) {
    part.last_error.clear();
    setup_.on_health_change(part.name, nullptr);
  }
}

/// Once, and again after a scrape that had none.
void HostSource::tell_duplicates() {
  const bool has_any = builder().duplicates() > 0;
  if (has_any && !told_duplicates_) {
    const auto error =
        failed(cat(builder().duplicates(),
                   " samples are left out, because the scrape has another one of the "
                   "same series; the first is of ",
                   builder().duplicate()));
    setup_.on_health_change(name(), &error);
  }
  told_duplicates_ = has_any;
}

SourceHealth HostSource::health() const {
  SourceHealth health;
  for (const auto& part : parts_) health.samples += part.series;
  health.duplicates = builder().duplicates();
  return health;
}

std::vector<HostSource::Outcome> HostSource::outcomes() const {
  std::vector<Outcome> outcomes;
  for (const auto& part : parts_) {
    outcomes.push_back({part.name, part.success, part.has_data, seconds(part.took_ns), part.series,
                        part.last_error});
  }
  return outcomes;
}

void HostSource::add_health(metrics::SeriesWriter& out) {
  for (const auto& part : parts_) {
    out.add(kDuration, {part.name}, seconds(part.took_ns));
    out.add(kSuccess, {part.name}, part.success ? 1 : 0);
  }
}

}  // namespace msp::sources
