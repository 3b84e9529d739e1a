// Targets of blackbox_exporter -> probes of ours. What its module does is in its own configuration: in
// a file that was given, or in prometheus.exporter.blackbox.
#pragma once

#include <list>
#include <optional>
#include <string>

#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

struct ForeignProbe {
  std::string module;            // empty: blackbox_exporter's default
  std::string target;            // as a Setting's text
  std::string host;              // the parameter hostname
  const Setting* configuration;  // null: a file that was given, or the one that is shipped
};

/// `common` with what is done: its labels are not read. Nothing, and why, where none of our probes does
/// the same; then nothing is noted either.
std::optional<ImportedProbe> convert_probe(const ForeignProbe& probe, const ImportedTarget& common,
                                           ConvertContext& context, std::string& why);

/// A name for it that none of `others` has.
std::string probe_name(std::string_view wanted, const std::list<ImportedProbe>& others);

}  // namespace msp::import
