#include "agent/sources/scraper.h"

#include <utility>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp {
namespace {

constexpr Family kUp{"up", "1 in every scrape that the agent makes.", "the agent"};
constexpr Family kDuration{"node_scrape_collector_duration_seconds",
                           "node_exporter: Duration of a collector scrape.", "the agent",
                           MetricType::gauge, "collector"};
constexpr Family kSuccess{"node_scrape_collector_success",
                          "node_exporter: Whether a collector succeeded.", "the agent",
                          MetricType::gauge, "collector"};

}  // namespace

Scraper::Scraper(Setup setup) : setup_(std::move(setup)), builder_(setup_.labels) {
  const CollectorContext context{setup_.paths, setup_.host, setup_.options, files_};
  for (const auto& name : setup_.collectors) {
    for (const auto& entry : collector_registry()) {
      if (entry.name != name) continue;
      parts_.push_back(
          {.name = entry.name, .collector = entry.make(context), .writer = &builder_.add_writer()});
    }
  }
  self_ = &builder_.add_writer();
}

Scraper::~Scraper() = default;

Scrape Scraper::scrape(std::int64_t wall_ns) {
  const Tick tick{++ticks_, wall_ns};
  for (auto& part : parts_) run(part, tick);

  builder_.begin(*self_);
  add_health(*self_);
  setup_.self_samples(*self_);
  if (const auto committed = builder_.commit(*self_); !committed) {
    setup_.on_health_change("msp_agent", &committed.error());
  }
  return builder_.finish(wall_ns / kNsPerMs);
}

void Scraper::run(Part& part, const Tick& tick) {
  const auto begin_ns = monotonic_ns();
  builder_.begin(*part.writer);
  auto outcome = part.collector->collect(tick, *part.writer);
  if (outcome) {
    outcome = builder_.commit(*part.writer);
  } else {
    builder_.rollback(*part.writer);
  }
  auto& complaints = part.writer->complaints();
  if (outcome) {
    complaints.end_tick([&](std::string_view text, bool is_over) {
      setup_.on_complaint(part.name, text, is_over);
    });
  } else {
    complaints.drop_tick();
  }
  part.duration_seconds = static_cast<double>(monotonic_ns() - begin_ns) / kNsPerSecond;
  part.success = outcome.has_value();
  part.has_data = outcome || outcome.error().kind != Error::Kind::no_data;
  part.series = outcome ? part.writer->samples() : 0;
  if (!outcome && outcome.error().text != part.last_error) {
    part.last_error = outcome.error().text;
    setup_.on_health_change(part.name, &outcome.error());
  } else if (outcome && !part.last_error.empty()) {
    part.last_error.clear();
    setup_.on_health_change(part.name, nullptr);
  }
}

std::vector<Scraper::Outcome> Scraper::outcomes() const {
  std::vector<Outcome> outcomes;
  for (const auto& part : parts_) {
    outcomes.push_back({part.name, part.success, part.has_data, part.duration_seconds, part.series,
                        part.last_error});
  }
  return outcomes;
}

void Scraper::add_health(SampleWriter& out) {
  out.add(kUp, 1);
  for (const auto& part : parts_) {
    out.add(kDuration, {part.name}, part.duration_seconds);
    out.add(kSuccess, {part.name}, part.success ? 1 : 0);
  }
}

}  // namespace msp
