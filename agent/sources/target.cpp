#include "agent/sources/target.h"

#include <utility>

#include "agent/base/text.h"

namespace msp::sources {
namespace {

constexpr std::string_view kSelf = "the agent";
constexpr metrics::MetricDesc kUp{"up", "1: the last scrape succeeded, 0: it did not.", kSelf};
constexpr metrics::MetricDesc kDuration{"scrape_duration_seconds",
                                        "Duration of the scrape in seconds.", kSelf};
constexpr metrics::MetricDesc kScraped{"scrape_samples_scraped",
                                       "Samples that the target has exposed.", kSelf};
constexpr metrics::MetricDesc kRelabeled{"scrape_samples_post_metric_relabeling",
                                         "Samples that were left after relabelling.", kSelf};
constexpr metrics::MetricDesc kAdded{"scrape_series_added",
                                     "Series that the scrape before did not have.", kSelf};

}  // namespace

Target::Target(SourceOptions options, Clock& clock)
    : Source(std::move(options)),
      clock_(clock),
      samples_(builder().add_writer()),
      about_(builder().add_exempt_writer()) {}

void Target::begin(const metrics::Tick& tick) {
  begun_ns_ = clock_.monotonic_ns();
  start(tick);
}

Result<void> Target::take_samples(const metrics::Tick& tick) {
  builder().begin(samples_);
  auto outcome = collect(tick, samples_);
  if (!outcome) {
    builder().rollback(samples_);
    return outcome;
  }
  return builder().commit(samples_);
}

metrics::Scrape Target::finish(const metrics::Tick& tick) {
  const auto outcome = take_samples(tick);
  health_.is_up = outcome.has_value();
  health_.error = outcome ? std::string() : outcome.error().text;
  health_.samples = samples_.samples();
  if (!outcome) builder().end(samples_);
  health_.duration_seconds = static_cast<double>(clock_.monotonic_ns() - begun_ns_) / kNsPerSecond;

  builder().begin(about_);
  about_.add(kUp, health_.is_up ? 1 : 0);
  about_.add(kDuration, health_.duration_seconds);
  about_.add(kScraped, static_cast<double>(health_.samples));
  about_.add(kRelabeled, static_cast<double>(samples_.sent()));
  about_.add(kAdded, static_cast<double>(samples_.added()));
  add_about(about_, health_);
  static_cast<void>(builder().commit(about_));
  auto scrape = builder().finish(tick.wall_ns / kNsPerMs);
  health_.duplicates = builder().duplicates() + settle(scrape);
  return scrape;
}

}  // namespace msp::sources
