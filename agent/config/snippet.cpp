#include "agent/config/snippet.h"

#include <algorithm>
#include <map>
#include <variant>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/schema.h"

namespace msp::config {
namespace {

constexpr std::size_t kColumnsMax = 100;
constexpr std::string_view kHidden = "...";

/// What may be shown of the keys of a name, wherever they stand. Of a mapping nothing is: in
/// "buffer: {..}" a misplaced secret may stand.
struct KeysNamed {
  bool are_open = true;        // no value is a secret
  bool are_sections = true;    // hold keys, and none of them a secret's value on the same line
  bool are_plain_urls = true;  // addresses without a login
};

const KeysNamed& keys_named(std::string_view name) {
  static const auto all = [] {
    std::map<std::string_view, KeysNamed> names;
    visit_keys([&](const ConfigKey& key, const std::string&) {
      const bool has_keys = std::holds_alternative<key_type::Group>(key.type) ||
                            std::holds_alternative<key_type::Groups>(key.type) ||
                            std::holds_alternative<key_type::Mapping>(key.type);
      const auto* const url = std::get_if<key_type::Address>(&key.type);
      const bool is_open = key.privacy == Privacy::open;
      auto& keys = names[key.name];
      keys.are_open = keys.are_open && is_open && !has_keys;
      keys.are_sections = keys.are_sections && is_open && has_keys;
      keys.are_plain_urls = keys.are_plain_urls && url != nullptr && !url->may_have_user;
    });
    return names;
  }();
  static constexpr KeysNamed kUnknown{false, false, false};
  const auto found = all.find(name);
  return found == all.end() ? kUnknown : found->second;
}

/// A line as "  - key: value".
struct Parts {
  std::size_t indent = 0;       // to the key or, without one, to the text
  std::string_view key;         // empty: there is none
  std::size_t value_begin = 0;  // of the line
};

Parts parts_of(std::string_view line) {
  Parts parts;
  parts.indent = std::min(line.find_first_not_of(" \t"), line.size());
  while (line.substr(parts.indent).starts_with("- ")) parts.indent += 2;
  const auto rest = line.substr(parts.indent);
  const auto end =
      rest.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
  parts.value_begin = parts.indent;
  if (end == std::string_view::npos || end == 0 || rest[end] != ':') return parts;
  parts.key = rest.substr(0, end);
  parts.value_begin += end + 1;
  while (parts.value_begin < line.size() && line[parts.value_begin] == ' ') ++parts.value_begin;
  return parts;
}

/// Whether the lines above say that line `index` stands among keys, and not in a text of several
/// lines. A list's item belongs to the key above it.
bool is_open(const std::vector<std::string_view>& lines, std::size_t index) {
  auto parts = parts_of(lines[index]);
  const auto is_item = [&](std::size_t i) { return trim(lines[i]).starts_with("-"); };
  if (!parts.key.empty() && !keys_named(parts.key).are_open) return false;
  bool wants_owner = parts.key.empty();
  if (wants_owner && !is_item(index)) return false;
  auto indent = wants_owner ? lines[index].find('-') + 1 : parts.indent;
  for (auto i = index; i-- > 0 && indent > 0;) {
    if (trim(lines[i]).empty() || trim(lines[i]).starts_with("#")) continue;
    parts = parts_of(lines[i]);
    if (parts.indent >= indent || (wants_owner && is_item(i))) continue;
    const bool is_known =
        wants_owner ? keys_named(parts.key).are_open : keys_named(parts.key).are_sections;
    if (!is_known) return false;
    wants_owner = false;
    indent = is_item(i) ? lines[i].find('-') + 1 : parts.indent;
  }
  return true;
}

/// `text` with a space for each character that is not printable: the caret counts characters.
std::string in_columns(std::string_view text) {
  std::string columns;
  while (!text.empty()) {
    const auto character = first_character(text);
    columns += character.is_printable ? text.substr(0, character.bytes) : " ";
    text.remove_prefix(character.bytes);
  }
  return columns;
}

/// Where the value of a URL's line may be shown: no login and no query in it.
bool is_plain_url(const Parts& parts, std::string_view line) {
  return keys_named(parts.key).are_plain_urls &&
         line.find_first_of("@?", parts.value_begin) == line.npos;
}

}  // namespace

std::string excerpt(std::string_view text, int line, int column) {
  constexpr int kLinesMax = 10'000;  // nobody writes more by hand, and each error walks over them
  if (line < 1 || line > kLinesMax) return {};
  std::vector<std::string_view> lines;
  for (int i = 0; i < line; ++i) {
    const auto next = next_line(text);
    if (!next) return {};
    lines.push_back(*next);
  }
  const auto index = static_cast<std::size_t>(line) - 1;
  const auto whole = lines[index];
  const auto parts = parts_of(whole);
  std::string shown(whole.substr(0, whole.find(" #")));
  auto caret = static_cast<std::size_t>(std::max(column, 1)) - 1;  // in characters
  if (!is_open(lines, index) && !is_plain_url(parts, whole)) {
    const auto begin = std::min(parts.value_begin, shown.size());
    if (begin < shown.size()) shown = cat(shown.substr(0, begin), kHidden);
    caret = std::min(caret, begin);
  }
  if (shown.size() > kColumnsMax) shown = cat(shown.substr(0, kColumnsMax), "...");
  shown = in_columns(shown);
  const auto number = cat(line);
  const std::string margin(number.size(), ' ');
  auto both = cat("  ", number, " | ", shown);
  if (column > 0 && caret <= kColumnsMax) {
    both += cat("\n  ", margin, " | ", std::string(caret, ' '), "^");
  }
  return both;
}

}  // namespace msp::config
