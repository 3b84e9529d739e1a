// The components of an Alloy configuration -> a configuration of ours. Follows the samples of
// prometheus.exporter.unix through scrape and relabel to what writes them; every component off that
// path is named.
#pragma once

#include <vector>

#include "agent/import/alloy_components.h"
#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

ImportedConfig map_alloy(const std::vector<AlloyComponent>& components, ConvertContext& context);

}  // namespace msp::import
