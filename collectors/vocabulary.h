// What of agent/metrics every collector uses.
#pragma once

#include "agent/metrics/series_writer.h"
#include "agent/metrics/tick.h"

namespace msp::collectors {

using metrics::MetricDesc;
using metrics::MetricType;
using metrics::SeriesWriter;
using metrics::Tick;

}  // namespace msp::collectors
