// A YAML document of Prometheus or vmagent as settings. vmagent's %{NAME}, and in external_labels
// Prometheus' ${NAME} and $NAME, are variables; any other '$' is a '$'. Merge keys (<<) are resolved.
#pragma once

#include <string_view>

#include "agent/config/document.h"
#include "agent/import/notes.h"
#include "agent/import/setting.h"

namespace msp::import {

/// `file` outlives the settings.
Setting yaml_settings(const config::Node& node, std::string_view file, Notes& notes);

}  // namespace msp::import
