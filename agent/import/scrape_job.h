// What another agent scrapes beside this host's node_exporter -> jobs of ours. The rules of a target are
// evaluated here, on the labels that are written in the file; those of its samples stay rules.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

/// A target as it is written: its labels, __address__ among them, and the rules on its way.
struct ForeignTarget {
  Place at;
  std::vector<std::pair<std::string, const Setting*>> labels;
  std::vector<const Setting*> rules;
  bool is_in_alloy = false;           // of prometheus.exporter.blackbox
  const Setting* blackbox = nullptr;  // its configuration, where that is written there
};

/// What global says of all jobs; empty: nothing.
struct ScrapeDefaults {
  std::string interval;
  std::string timeout;
};

/// Reads the keys of `part` that say how a target is scraped, and leaves all others to the caller. Adds
/// jobs, and probes where the target is blackbox_exporter's. A target that is not carried over is noted.
/// `metric_rules` are those of its samples, in their order.
void convert_scrape(MappingReader& part, const ScrapeDefaults& defaults, std::string_view job,
                    const std::vector<ForeignTarget>& targets, const ImportedRules& metric_rules,
                    ConvertContext& context, ImportedConfig& imported);

/// Gives the jobs what the labels of this host are not for them, and this host what its rules are not
/// for the jobs. Behind settle_identity().
void settle_scrapes(ConvertContext& context, ImportedConfig& imported);

}  // namespace msp::import
