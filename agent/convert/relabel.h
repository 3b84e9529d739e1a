// Relabelling rules -> labels. msp-agent relabels nothing; a rule that writes the same value on
// every sample is a label, and every other one is named.
#pragma once

#include <string_view>
#include <vector>

#include "agent/convert/draft.h"
#include "agent/convert/part.h"

namespace msp {

/// Applies `rules` in their order to `labels`, what every sample carries at this point.
void apply_rules(const std::vector<const Setting*>& rules, std::string_view what,
                 ConvertContext& context, DraftLabels& labels);

/// Puts `value` on every sample; what msp-agent cannot have as a label is noted.
void add_label(std::string_view name, const Setting& value, const Place& at,
               ConvertContext& context, DraftLabels& labels);

}  // namespace msp
