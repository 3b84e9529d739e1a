#include "agent/import/setting.h"

#include <algorithm>

#include "agent/base/text.h"
#include "agent/config/validators.h"

namespace msp::import {

std::string Place::to_string() const {
  return line == 0 ? std::string(file) : cat(file, ":", line);
}

const Setting* Setting::find(std::string_view key) const {
  for (const auto& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::string escape_dollars(std::string_view literal) {
  std::string text;
  for (const char c : literal) {
    if (c == '$') text += '$';
    text += c;
  }
  return text;
}

std::string variable(std::string_view name) {
  return config::is_variable_name(name) ? cat("${", name, "}") : "";
}

std::optional<std::string> without_variables(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    plain += text[i];
    if (text[i] != '$') continue;
    if (text.substr(i, 2) == "${") return std::nullopt;
    ++i;  // the second of "$$"
  }
  return plain;
}

std::vector<std::string> variables_of(std::string_view text) {
  std::vector<std::string> names;
  for (auto at = text.find('$'); at != text.npos; at = text.find('$', at)) {
    if (text.substr(at, 2) == "${") {
      const auto inside = text.substr(at + 2, text.find('}', at) - at - 2);
      if (inside.find(":-") == inside.npos) names.emplace_back(inside);
    }
    at += 2;
  }
  return names;
}

void collect_references(const Setting& setting, std::vector<const Setting*>& out) {
  if (setting.is(Setting::Kind::reference)) out.push_back(&setting);
  for (const auto& item : setting.items) collect_references(item, out);
  for (const auto& entry : setting.entries) collect_references(entry.value, out);
}

}  // namespace msp::import
