// A prometheus.yml (agent mode), or one that vmagent reads -> a configuration of ours: the job that
// scrapes this host's node_exporter, and remote_write. Everything else is named.
#pragma once

#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

/// `has_vmagent_variables`: the file has a %{NAME}, which only vmagent knows.
ImportedConfig map_prometheus(const Setting& root, bool has_vmagent_variables,
                              ConvertContext& context);

}  // namespace msp::import
