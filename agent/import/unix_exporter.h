// prometheus.exporter.unix -> which of our collectors run, and what they look at.
#pragma once

#include <string_view>

#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

/// What a second one, called `id`, has beside the first.
void add_unix_exporter(const Setting& exporter, std::string_view id, ConvertContext& context,
                       ImportedConfig& imported);

void convert_unix_exporter(const Setting& exporter, ConvertContext& context,
                           ImportedConfig& imported);

/// Says so where the host's uptime, which most dashboards show, is not collected.
void offer_uptime(ConvertContext& context, const ImportedConfig& imported);

}  // namespace msp::import
