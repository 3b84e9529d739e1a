// Metrics whose names the kernel or a driver makes: a description for each name, made once and never
// given back, for series outlive their collector.
#pragma once

#include <string_view>

#include "collectors/vocabulary.h"

namespace msp::collectors {

/// The metric of that name; what else is said of it counts the first time. `label_names` has static
/// storage duration. Null where there are so many names that no kernel can mean them. Any thread.
const MetricDesc* kept_metric(std::string_view name, std::string_view help, std::string_view source,
                              MetricType type, std::string_view label_names);

}  // namespace msp::collectors
