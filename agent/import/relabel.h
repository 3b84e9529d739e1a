// Relabelling rules -> labels. msp-agent relabels nothing; a rule that writes the same value on
// every sample is a label, and every other one is named.
#pragma once

#include <string_view>
#include <vector>

#include "agent/import/draft.h"
#include "agent/import/part.h"

namespace msp {

/// Applies `rules` in their order to `labels`, what every sample carries at this point.
void apply_rules(const std::vector<const Setting*>& rules, std::string_view what,
                 ConvertContext& context, DraftLabels& labels);

/// Puts `value` on every sample; what msp-agent cannot have as a label is noted.
void add_label(std::string_view name, const Setting& value, const Place& at,
               ConvertContext& context, DraftLabels& labels);

/// To a label that is there already.
enum class LabelUse { replaces, gives_way };

/// The labels of the mapping `key`, such as external_labels. Names that begin with '__' are the
/// other agent's own business.
void add_labels(Part& part, std::string_view key, LabelUse use, ConvertContext& context,
                DraftLabels& labels);

}  // namespace msp
