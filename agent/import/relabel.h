// Relabelling rules -> labels. msp-agent relabels nothing; a rule that writes the same value on
// every sample is a label, one that has no effect on this host's samples is nothing, and every
// other one is named, and what it writes is unknown from there on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/import/mapping_reader.h"
#include "agent/import/sample_labels.h"

namespace msp {

/// A rule that takes every sample of this host away.
struct Refusal {
  Place at;
  std::string why;  // "'keep' of samples whose job matches 'app', and this host's have 'node'"
};

/// Applies `rules` in their order to `labels`, up to the first that lets nothing pass.
std::optional<Refusal> apply_rules(const std::vector<const Setting*>& rules, std::string_view what,
                                   ConvertContext& context, SampleLabels& labels);

}  // namespace msp
