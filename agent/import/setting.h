// What a foreign configuration sets, the same for Alloy's language and for YAML: a tree of values
// with their places, in which `env("X")` and the like have become our own ${X}. The mappings read
// this and know neither syntax.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace msp::import {

/// Where something stands; the file's name outlives the conversion.
struct Place {
  std::string_view file;
  int line = 0;

  std::string to_string() const;  // file:line
};

struct Setting {
  enum class Kind {
    empty,      // null
    text,       // text: as our configuration writes it, ${NAME} a variable and $$ a '$'
    host_name,  // the host's name, asked for when the agent runs
    file,       // the content of a file; text: its path
    reference,  // text: prometheus.remote_write.central.receiver
    list,       // items
    mapping,    // entries
    unknown,    // text: what it is and why it is not computed; items: what it is made of
  };
  struct Entry;

  Kind kind = Kind::empty;
  Place at;
  std::string text;
  std::vector<Setting> items;
  std::vector<Entry> entries;  // in the file's order, a key perhaps more than once

  bool is(Kind other) const { return kind == other; }
  /// The first value of `key`, or null.
  const Setting* find(std::string_view key) const;
};

struct Setting::Entry {
  std::string key;
  Place at;
  Setting value;
};

/// `literal` as text of a Setting.
std::string escape_dollars(std::string_view literal);

/// ${NAME}, or nothing where our configuration cannot have a variable of that name.
std::string variable(std::string_view name);

/// A Setting's text with its '$$' undone; nothing where it has a variable.
std::optional<std::string> without_variables(std::string_view text);

/// What stands for the name of the host where a text is needed; the unit has to set it.
inline constexpr std::string_view kHostNameVariable = "${HOSTNAME}";

/// The names of the variables in a Setting's text that have no default there.
std::vector<std::string> variables_of(std::string_view text);

/// Every reference in `setting`, in the order in which they stand.
void collect_references(const Setting& setting, std::vector<const Setting*>& out);

}  // namespace msp::import
