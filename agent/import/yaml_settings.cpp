#include "agent/import/yaml_settings.h"

#include <algorithm>
#include <string>

namespace msp {
namespace {

using Kind = Setting::Kind;

/// A variable at the front of `text`: its name, and how long it is; 0: none.
std::size_t variable_length(std::string_view text, bool has_dollars, std::string_view& name) {
  const bool is_vmagent = text.starts_with("%{");
  if (is_vmagent || (has_dollars && text.starts_with("${"))) {
    const auto end = text.find('}');
    if (end == text.npos) return 0;
    name = text.substr(2, end - 2);
    return variable(name).empty() ? 0 : end + 1;
  }
  if (!has_dollars || !text.starts_with('$')) return 0;
  const auto is_inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  const auto* const end = std::find_if_not(text.begin() + 1, text.end(), is_inner);
  name = text.substr(1, static_cast<std::size_t>(end - text.begin()) - 1);
  return variable(name).empty() ? 0 : name.size() + 1;
}

std::string text_with_variables(std::string_view text, bool has_dollars) {
  std::string out;
  while (!text.empty()) {
    std::string_view name;
    if (const auto length = variable_length(text, has_dollars, name); length != 0) {
      out += variable(name);
      text.remove_prefix(length);
    } else if (has_dollars && text.starts_with("$$")) {
      out += "$$";
      text.remove_prefix(2);
    } else {
      out += escape_dollars(text.substr(0, 1));
      text.remove_prefix(1);
    }
  }
  return out;
}

Setting convert(const Node& node, std::string_view file, bool has_dollars) {
  Setting setting;
  setting.at = {file, node.at.line};
  switch (node.kind) {
    case Node::Kind::empty:
      break;
    case Node::Kind::scalar:
      setting.kind = Kind::text;
      setting.text = text_with_variables(node.text, has_dollars);
      break;
    case Node::Kind::list:
      setting.kind = Kind::list;
      for (const auto& item : node.items)
        setting.items.push_back(convert(*item, file, has_dollars));
      break;
    case Node::Kind::mapping:
      setting.kind = Kind::mapping;
      for (const auto& [key, at, value] : node.entries) {
        setting.entries.push_back(
            {key, {file, at.line}, convert(*value, file, has_dollars || key == "external_labels")});
      }
  }
  return setting;
}

}  // namespace

Setting yaml_settings(const Node& node, std::string_view file) {
  return convert(node, file, false);
}

}  // namespace msp
