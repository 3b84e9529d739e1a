// One place to write to, as Alloy's endpoint block or as an item of Prometheus' remote_write list:
// their keys are the same -> an endpoint of ours.
#pragma once

#include <optional>
#include <string>

#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

/// Nothing, and a note, where there is no address to write to. Leaves the labels to the caller.
std::optional<ImportedEndpoint> convert_endpoint(MappingReader& part, ConvertContext& context,
                                                 std::string title);

}  // namespace msp::import
