// A source that is one target, up or down as a whole, as Prometheus knows it. Beside its samples it
// has up, scrape_duration_seconds, scrape_samples_scraped, scrape_samples_post_metric_relabeling and
// scrape_series_added (https://prometheus.io/docs/concepts/jobs_instances/).
//
// A target that fails, or goes over its limit on series, has up 0, and all of its series end.
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/clock.h"
#include "agent/sources/source.h"

namespace msp::sources {

class Target : public Source {
 public:
  /// `clock` outlives it.
  Target(SourceOptions options, Clock& clock);

  void begin(const metrics::Tick& tick) final;
  metrics::Scrape finish(const metrics::Tick& tick) final;
  SourceHealth health() const final { return health_; }
  bool may_be_cut_short() const final { return false; }

 protected:
  /// Starts what can hang or is slow.
  virtual void start(const metrics::Tick& tick) { static_cast<void>(tick); }

  /// Adds the samples; an error says why the target is down. What was started and has not ended is
  /// an error: nobody waits.
  virtual Result<void> collect(const metrics::Tick& tick, metrics::SeriesWriter& out) = 0;

  /// The last word about the scrape that was made. Returns how many samples it has left out as
  /// duplicates.
  virtual std::size_t settle(metrics::Scrape& scrape) {
    static_cast<void>(scrape);
    return 0;
  }

  /// What more is said of the target, after collect().
  virtual void add_about(metrics::SeriesWriter& out, SourceHealth& health) {
    static_cast<void>(out);
    static_cast<void>(health);
  }

 private:
  Result<void> take_samples(const metrics::Tick& tick);

  Clock& clock_;
  metrics::SeriesWriter& samples_;
  metrics::SeriesWriter& about_;
  std::int64_t begun_ns_ = 0;
  SourceHealth health_;
};

}  // namespace msp::sources
