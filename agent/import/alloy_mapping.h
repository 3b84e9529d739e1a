// The components of an Alloy configuration -> a configuration of ours. Follows the samples of
// prometheus.exporter.unix through scrape and relabel to what writes them; every component off that
// path is named.
#pragma once

#include <vector>

#include "agent/import/alloy_components.h"
#include "agent/import/draft.h"
#include "agent/import/part.h"

namespace msp {

Draft map_alloy(const std::vector<AlloyComponent>& components, ConvertContext& context);

}  // namespace msp
