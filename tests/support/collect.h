// A tick of one collector, as the host source runs it when nothing else is to be read.
#pragma once

#include "agent/base/wakeup.h"
#include "collectors/collector.h"

namespace msp::test {

/// `wakeup` is the one of the collector's context.
inline Result<void> collect(collectors::Collector& collector, const metrics::Tick& tick,
                            const Wakeup& wakeup, metrics::SeriesWriter& out) {
  const auto begun = collector.begin(tick);
  if (!begun) return begun.error();
  while (const auto wait_ns = *begun ? collector.wait_ns() : 0) wakeup.wait(wait_ns);
  return collector.collect(tick, out);
}

}  // namespace msp::test
