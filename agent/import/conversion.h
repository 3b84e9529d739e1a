// The configuration of another agent -> an msp-agent.yaml. The one entry point of this folder;
// reads no file itself, and nothing of the environment.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "agent/import/notes.h"

namespace msp::import {

struct ForeignFile {
  std::string name;  // what messages call it
  std::string text;
  std::string path = {};  // absolute, where it has one
};

enum class ForeignAgent { alloy, prometheus, process_exporter };

struct Conversion {
  /// The YAML, or nothing where no usable configuration came out: one that collects nothing or
  /// delivers nothing is none. Loads without an error once the notes' to-do is done; where that is
  /// only a variable or what says FILL IN, these are all that is missing.
  std::optional<std::string> yaml;
  std::string error;  // why there is none; may have more than one line
  std::vector<Note> notes;
};

/// Larger files are refused.
inline constexpr std::size_t kForeignBytesMax = 1 << 20;

/// `env_file` holds the variables of the other agent's unit; `named_files` are files that the
/// configuration names: targets, rules and jobs, blackbox_exporter's modules
/// and process-exporter's rules. Never throws.
Conversion convert(ForeignAgent from, const std::vector<ForeignFile>& files,
                   const std::optional<ForeignFile>& env_file,
                   const std::vector<ForeignFile>& named_files = {});

}  // namespace msp::import
