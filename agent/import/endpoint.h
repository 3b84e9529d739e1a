// One place to write to, as Alloy's endpoint block or as an item of Prometheus' remote_write list:
// their keys are the same -> an endpoint of ours.
#pragma once

#include <optional>
#include <string>

#include "agent/import/draft.h"
#include "agent/import/part.h"

namespace msp {

/// Nothing, and a note, where there is no address to write to. Leaves the labels to the caller.
std::optional<DraftEndpoint> convert_endpoint(Part& part, ConvertContext& context,
                                              std::string title);

}  // namespace msp
