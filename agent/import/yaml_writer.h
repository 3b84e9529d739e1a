// An imported configuration -> the text of an msp-agent.yaml, commented, with the notes of the
// conversion at its end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/import/env_file.h"
#include "agent/import/imported_config.h"
#include "agent/import/notes.h"

namespace msp::import {

/// `from` says in one line what it was made of.
std::string write_yaml(const ImportedConfig& imported, std::string_view from,
                       const std::vector<Note>& notes);

/// The same without comments, and with every variable replaced: by its value, or, where that is not
/// known, by one that the key accepts. It validates what the other would be on the host.
std::string write_yaml_to_check(const ImportedConfig& imported, const EnvFile& env);

}  // namespace msp::import
