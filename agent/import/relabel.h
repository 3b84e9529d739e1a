// Relabelling rules -> labels. A rule that writes the same value on every sample is a label, one that
// has no effect on this host's samples is nothing. Every other one is carried over as a rule where
// there is a place for it; else it is named, and what it writes is unknown from there on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/import/mapping_reader.h"
#include "agent/import/sample_labels.h"

namespace msp::import {

/// A rule that takes every sample of this host away.
struct Refusal {
  Place at;
  std::string why;  // "'keep' of samples whose job matches 'app', and this host's have 'node'"
};

/// Where rules go that are not settled now. From the first on, all others go there, too: their order
/// counts.
struct CarriedRules {
  ImportedRules& rules;
  bool has_others =
      false;  // samples of other targets pass them as well: only constants are settled
};

/// The rules of samples of other targets than this host.
ImportedRules carry_rules(const std::vector<const Setting*>& rules, std::string_view what,
                          ConvertContext& context);

/// Applies `rules` in their order to `labels`, up to the first that lets nothing pass.
std::optional<Refusal> apply_rules(const std::vector<const Setting*>& rules, std::string_view what,
                                   ConvertContext& context, SampleLabels& labels,
                                   const CarriedRules* carried = nullptr);

}  // namespace msp::import
