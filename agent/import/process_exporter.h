// process-exporter's process_names, and the matchers of prometheus.exporter.process, which is the same
// in Alloy -> the groups of our collector process_groups.
#pragma once

#include <string_view>
#include <vector>

#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

inline constexpr std::string_view kProcessNames = "process_names";
inline constexpr std::string_view kProcessesAreOurs =
    ": process-exporter is not scraped any more: msp-agent's process_groups sends its series, with "
    "this host's job and instance, every collectors.costly_interval";

/// Adds a group for each of `rules`; one that msp-agent would refuse is noted. `name` leads messages.
void convert_process_rules(const std::vector<const Setting*>& rules, std::string_view name,
                           ConvertContext& context, ImportedConfig& imported);

/// A file of process-exporter's.
void convert_process_exporter(const Setting& root, ConvertContext& context,
                              ImportedConfig& imported);

/// A component of Alloy, called `id`.
void convert_process_component(const Setting& body, std::string_view id, ConvertContext& context,
                               ImportedConfig& imported);

}  // namespace msp::import
