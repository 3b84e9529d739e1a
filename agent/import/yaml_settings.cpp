#include "agent/import/yaml_settings.h"

#include <algorithm>
#include <string>

namespace msp::import {
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

/// Aliases can make a file of a kilobyte a tree of a gigabyte.
constexpr std::size_t kSettingsMax = 500'000;

class Converter {
 public:
  Converter(std::string_view file, Notes& notes) : file_(file), notes_(notes) {}

  Setting convert(const config::Node& node, bool has_dollars) {
    Setting setting;
    setting.at = {file_, node.at.line};
    if (++settings_ > kSettingsMax) {
      setting.kind = Kind::unknown;
      setting.text = "more values, through aliases, than are read";
      return setting;
    }
    switch (node.kind) {
      case config::Node::Kind::empty:
        break;
      case config::Node::Kind::scalar:
        setting.kind = Kind::text;
        setting.text = text_with_variables(node.text, has_dollars);
        break;
      case config::Node::Kind::list:
        setting.kind = Kind::list;
        for (const auto& item : node.items) setting.items.push_back(convert(*item, has_dollars));
        break;
      case config::Node::Kind::mapping:
        setting.kind = Kind::mapping;
        for (const auto& [key, at, value] : node.entries) {
          if (key != kMergeKey) add(key, at, *value, has_dollars, setting);
        }
        for (const auto& [key, at, value] : node.entries) {
          if (key == kMergeKey) merge(*value, at, has_dollars, setting);
        }
    }
    return setting;
  }

 private:
  static constexpr std::string_view kMergeKey = "<<";

  void add(const std::string& key, config::Position at, const config::Node& value, bool has_dollars,
           Setting& into) {
    into.entries.push_back(
        {key, {file_, at.line}, convert(value, has_dollars || key == "external_labels")});
  }

  /// The keys of `value` that are not there yet: a mapping, or a list of them, the first of which
  /// wins (https://yaml.org/type/merge.html).
  void merge(const config::Node& value, config::Position at, bool has_dollars, Setting& into,
             int depth = 0) {
    if (value.kind == config::Node::Kind::list && depth == 0) {
      for (const auto& item : value.items) merge(*item, at, has_dollars, into, 1);
      return;
    }
    const auto merged = convert(value, has_dollars);
    if (!merged.is(Kind::mapping)) {
      notes_.left_out({file_, at.line}, "<<: a merge key; it takes a mapping, or a list of them");
      return;
    }
    for (const auto& entry : merged.entries) {
      if (into.find(entry.key) == nullptr) into.entries.push_back(entry);
    }
  }

  std::string_view file_;
  Notes& notes_;
  std::size_t settings_ = 0;
};

}  // namespace

Setting yaml_settings(const config::Node& node, std::string_view file, Notes& notes) {
  return Converter(file, notes).convert(node, false);
}

}  // namespace msp::import
