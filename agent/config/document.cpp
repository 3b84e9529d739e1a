#include "agent/config/document.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "agent/core/text.h"

namespace msp {
namespace {

// Aliases make a small file a large tree.
constexpr std::size_t kValuesMax = 20'000;
constexpr int kDepthMax = 32;

Place place_of(const YAML::Mark& mark) {
  return mark.is_null() ? Place{} : Place{mark.line + 1, mark.column + 1};
}

bool is_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && is_letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || is_digit(c); });
}

/// The text with its variables replaced, or what is wrong with it.
Result<std::string> expand(std::string_view text) {
  std::string expanded;
  while (!text.empty()) {
    const auto dollar = text.find('$');
    expanded += text.substr(0, dollar);
    if (dollar == text.npos) break;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      expanded += '$';
      text.remove_prefix(1);
      continue;
    }
    if (!text.starts_with('{')) {
      expanded += '$';  // as in a regular expression's end
      continue;
    }
    const auto end = text.find('}');
    if (end == text.npos) return failed("'${' without '}'; write $$ for a dollar sign");
    const auto inside = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    const auto separator = inside.find(":-");
    const std::string name(inside.substr(0, separator));
    if (!is_name(name)) {
      return failed(cat("'${", inside, "}' is not ${NAME} or ${NAME:-default}"));
    }
    const char* value = std::getenv(name.c_str());
    const bool has_default = separator != inside.npos;
    if (value != nullptr && (*value != '\0' || !has_default)) {
      expanded += value;
    } else if (has_default) {
      expanded += inside.substr(separator + 2);
    } else {
      return failed(cat("the environment has no ", name, "; write ${", name,
                        ":-default} if it may be missing"));
    }
  }
  return expanded;
}

class Converter {
 public:
  explicit Converter(std::vector<Problem>& problems) : problems_(problems) {}

  Value convert(const YAML::Node& node, int depth) {
    Value value;
    value.place = place_of(node.Mark());
    if (++values_ > kValuesMax || depth > kDepthMax) {
      if (!std::exchange(is_too_large_, true)) {
        problems_.push_back({value.place, "the file holds too much, or is nested too deeply"});
      }
      return value;
    }
    if (node.IsScalar()) {
      convert_text(node, value);
    } else if (node.IsSequence()) {
      value.kind = Value::Kind::list;
      for (const auto& item : node) value.list.push_back(convert(item, depth + 1));
    } else if (node.IsMap()) {
      convert_mapping(node, value, depth);
    }
    return value;
  }

 private:
  void convert_text(const YAML::Node& node, Value& value) {
    auto expanded = expand(node.Scalar());
    if (!expanded) {
      problems_.push_back({value.place, expanded.error().text});
      return;
    }
    if (!is_utf8(*expanded)) {
      problems_.push_back({value.place, "a variable's value is not valid UTF-8"});
      return;
    }
    value.kind = Value::Kind::text;
    value.text = std::move(*expanded);
  }

  void convert_mapping(const YAML::Node& node, Value& value, int depth) {
    value.kind = Value::Kind::mapping;
    for (const auto& pair : node) {
      const auto place = place_of(pair.first.Mark());
      if (!pair.first.IsScalar()) {
        problems_.push_back({place, "a key must be a word"});
        continue;
      }
      const auto& key = pair.first.Scalar();
      const auto first = std::find_if(value.mapping.begin(), value.mapping.end(),
                                      [&](const Value::Entry& entry) { return entry.key == key; });
      if (first != value.mapping.end()) {
        problems_.push_back({place, cat("'", key, "' stands here a second time; first in line ",
                                        first->place.line)});
        continue;
      }
      value.mapping.push_back({key, place, convert(pair.second, depth + 1)});
    }
  }

  std::vector<Problem>& problems_;
  std::size_t values_ = 0;
  bool is_too_large_ = false;
};

std::optional<Problem> find_bad_utf8(std::string_view text) {
  int line = 0;
  while (const auto content = next_line(text)) {
    ++line;
    if (is_utf8(*content)) continue;
    std::size_t good = 0;
    while (is_utf8(content->substr(0, good + 1)) || !is_utf8(content->substr(0, good))) ++good;
    return Problem{{line, static_cast<int>(good) + 1}, "this byte is not valid UTF-8"};
  }
  return std::nullopt;
}

/// A tab that indents, which YAML forbids and yaml-cpp has no plain words for.
std::optional<Problem> find_tab(std::string_view text) {
  int line = 0;
  while (const auto content = next_line(text)) {
    ++line;
    const auto first = content->find_first_not_of(' ');
    if (first == content->npos || (*content)[first] != '\t') continue;
    if (trim(*content).empty() || trim(*content)[0] == '#') continue;
    return Problem{{line, static_cast<int>(first) + 1}, "a tab indents this line; use spaces"};
  }
  return std::nullopt;
}

}  // namespace

std::vector<Problem> parse_document(const std::string& yaml, Value& root) {
  std::vector<Problem> problems;
  if (auto bad = find_bad_utf8(yaml)) return {*bad};
  try {
    const auto documents = YAML::LoadAll(yaml);
    if (documents.size() > 1) {
      return {{place_of(documents[1].Mark()), "a second document ('---') begins; one is allowed"}};
    }
    if (!documents.empty()) root = Converter(problems).convert(documents[0], 0);
  } catch (const YAML::Exception& error) {
    if (auto tab = find_tab(yaml)) return {*tab};
    return {{place_of(error.mark), cat("not valid YAML: ", error.msg)}};
  }
  return problems;
}

}  // namespace msp
