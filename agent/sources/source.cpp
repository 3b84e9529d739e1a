#include "agent/sources/source.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/base/clock.h"

namespace msp::sources {

Source::Source(SourceOptions options)
    : options_(std::move(options)),
      builder_({.labels = options_.labels,
                .stream = std::make_shared<const metrics::Stream>(metrics::Stream{options_.name}),
                .series_max = options_.series_max,
                .relabel = options_.relabel,
                .relabel_about = options_.relabel_about,
                .series_count = options_.series_count,
                .room = options_.room,
                .keeps_to_room = options_.keeps_to_room}) {}

metrics::Scrape scrape_now(Source& source, const metrics::Tick& tick, const Wakeup& wakeup) {
  source.begin(tick);
  return finish_now(source, tick, wakeup);
}

metrics::Scrape finish_now(Source& source, const metrics::Tick& tick, const Wakeup& wakeup) {
  const auto deadline_ns = monotonic_ns() + source.options().deadline.count();
  for (;;) {
    const auto left_ns = deadline_ns - monotonic_ns();
    const auto wait_ns = left_ns > 0 ? source.wait_ns() : 0;
    if (wait_ns <= 0) return source.finish(tick);
    wakeup.wait(std::min(wait_ns, left_ns));
  }
}

}  // namespace msp::sources
