// The variables that the other agent's unit gives it, as systemd's EnvironmentFile= reads them
// (systemd.exec(5)): NAME=value lines, quotes, comments, a backslash at a line's end; `export` is no
// part of a name there.
//
// Its values decide and validate; they never go into a result or a message, for they may be secret.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/import/notes.h"

namespace msp::import {

class EnvFile {
 public:
  /// No file: no variable is known.
  EnvFile() = default;
  /// `path` is what messages call it, and like `absolute_path` outlives the conversion; lines that
  /// set nothing are noted.
  EnvFile(std::string_view path, std::string_view text, Notes& notes,
          std::string_view absolute_path = {});

  bool is_given() const { return !path_.empty(); }
  std::string_view path() const { return path_; }
  std::string_view absolute_path() const { return absolute_path_.empty() ? path_ : absolute_path_; }
  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }

  /// A Setting's text with its variables replaced; nothing where one of them is not known.
  std::optional<std::string> expand(std::string_view text) const;

 private:
  std::string_view path_;
  std::string_view absolute_path_;
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace msp::import
