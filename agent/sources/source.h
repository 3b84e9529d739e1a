// Whatever makes samples: the host's collectors, an exporter, a probe. The scheduler calls it at its
// own time, in three steps, none of which may block:
//
//   begin()    starts what can hang or is slow, each in a thread of its own (background.h), and may
//              read at once what is fast;
//   wait_ns()  says whether that has ended: asked right after begin(), when the source has asked for
//              it by its Wakeup, and at the moment that it named;
//   finish()   makes the scrape of what is there, at the deadline at the latest.
//
// A source that is a single target, up or down as a whole, derives from Target (target.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/wakeup.h"
#include "agent/metrics/series_writer.h"
#include "agent/metrics/tick.h"

namespace msp::sources {

struct SourceOptions {
  std::string name;              // of its stream: unique in the agent, the same after a restart
  metrics::TargetLabels labels;  // on all of its series
  std::chrono::nanoseconds interval = std::chrono::seconds(15);
  std::chrono::nanoseconds deadline = std::chrono::seconds(5);  // from begin() on; < interval
  std::size_t series_max = metrics::kSeriesMaxDefault;
  metrics::Relabel relabel = nullptr;
  metrics::Relabel relabel_about = nullptr;  // of up and its like
  // On a grid of its own, so that many sources do not all work in one moment; else on the agent's.
  bool is_spread = false;
  metrics::SeriesCount series_count = nullptr;  // of sources that share series_max; null: its own
  std::shared_ptr<metrics::SeriesRoom> room = nullptr;  // SeriesRules has what both mean
  bool keeps_to_room = false;
};

/// How the last tick of a source went.
struct SourceHealth {
  bool is_up = true;
  std::string error = {};  // empty: it worked
  double duration_seconds = 0;
  std::size_t samples = 0;     // of its own, what the agent adds left out
  std::size_t duplicates = 0;  // samples left out: the scrape had one of the same series
  std::size_t bad_lines = 0;   // of what it exposes
  std::string first_bad_line = {};
};

/// Main thread only, but for what it starts itself.
class Source {
 public:
  explicit Source(SourceOptions options);
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  virtual void begin(const metrics::Tick& tick) = 0;

  /// 0: finish() has all that it could wait for. Else in how many nanoseconds to ask again, at the
  /// latest.
  virtual std::int64_t wait_ns() { return 0; }

  /// Whether finish() is true before wait_ns() is 0. A target that has not answered is not down.
  virtual bool may_be_cut_short() const { return true; }

  /// Its timestamp is of the moment at which the values were read: that of `tick`, or a later one.
  virtual metrics::Scrape finish(const metrics::Tick& tick) = 0;

  /// Samples of that scrape which have times of their own: further ones, of streams of their own,
  /// without stale markers. Given once.
  virtual std::vector<metrics::Scrape> take_timed() { return {}; }

  virtual SourceHealth health() const = 0;

  const SourceOptions& options() const { return options_; }
  const std::string& name() const { return options_.name; }
  const metrics::StreamPtr& stream() const { return builder_.rules().stream; }

 protected:
  metrics::ScrapeBuilder& builder() { return builder_; }
  const metrics::ScrapeBuilder& builder() const { return builder_; }

 private:
  const SourceOptions options_;
  metrics::ScrapeBuilder builder_;
};

/// One tick of a source that nobody else waits for, as in a dry run: returns when it is finished.
metrics::Scrape scrape_now(Source& source, const metrics::Tick& tick, const Wakeup& wakeup);
/// The same of one that has begun just now.
metrics::Scrape finish_now(Source& source, const metrics::Tick& tick, const Wakeup& wakeup);

}  // namespace msp::sources
