// One sample that no host reported, for the questions "do you take anything at all?", asked before
// samples are given up because an endpoint refuses them, and "do you take an older one after it?".
// It is of a series of its own, so that its answer depends on no other sample and takes the place
// of none.
#pragma once

#include <cstdint>

#include "agent/metrics/sample.h"
#include "agent/queue/batch.h"

namespace msp::delivery {

inline constexpr metrics::MetricDesc kProbe{
    "msp_agent_probe",
    "1 whenever the agent tested whether an endpoint accepts samples at all, or in any order.",
    "the agent", metrics::MetricType::gauge, "run"};

/// With the labels that all series of `batch` share, and `run`, which tells it from the probes of
/// others and of earlier runs: those may have had a later time. `batch` is not empty.
queue::Batch probe_for(queue::Batch& batch, std::int64_t timestamp_ms, std::int64_t run);

}  // namespace msp::delivery
