#include "agent/base/regex.h"

#include <re2/re2.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "agent/base/text.h"

namespace msp {

namespace {

using Pattern = std::shared_ptr<const RE2>;
using Groups = std::vector<re2::StringPiece>;

Result<Pattern> compile(std::string_view regex, bool dot_matches_newline) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(dot_matches_newline);
  options.set_max_mem(
      1 << 20);  // the default of 8 MiB is room for states that short names never need
  auto pattern = std::make_shared<const RE2>(re2::StringPiece(regex.data(), regex.size()), options);
  if (pattern->ok()) return Pattern(std::move(pattern));
  // "missing ): ^(veth": behind the colon is what the caller shows anyway.
  auto words = std::string_view(pattern->error());
  const auto of_what = cat(": ", pattern->error_arg());
  if (words.ends_with(of_what)) words.remove_suffix(of_what.size());
  const bool is_part = pattern->error_arg() != regex;
  return failed(is_part ? cat(words, " '", pattern->error_arg(), "'") : std::string(words));
}

bool match(const RE2& pattern, RE2::Anchor anchor, std::string_view text, Groups& groups) {
  return pattern.Match(re2::StringPiece(text.data(), text.size()), 0, text.size(), anchor,
                       groups.data(), static_cast<int>(groups.size()));
}

/// The name behind a '$', taken off `rest` with its braces. Empty where there is none: then the '$'
/// stands for itself. Letters are Unicode's for Go; here all that is not ASCII counts as one.
std::string_view take_group_name(std::string_view& rest) {
  const bool has_braces = rest.starts_with('{');
  const auto behind = rest.substr(has_braces ? 1 : 0);
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80) != 0;
  };
  const auto end = static_cast<std::size_t>(
      std::find_if_not(behind.begin(), behind.end(), is_letter) - behind.begin());
  if (end == 0 || (has_braces && !behind.substr(end).starts_with('}'))) return {};
  rest.remove_prefix(end + (has_braces ? 2 : 0));
  return behind.substr(0, end);
}

std::optional<std::size_t> number_of(const RE2& pattern, std::string_view name) {
  const bool has_leading_zero = name.size() > 1 && name.front() == '0';
  const auto number = parse_number<std::size_t>(name);
  if (number && !has_leading_zero) return number;
  const auto& names = pattern.NamedCapturingGroups();
  const auto found = names.find(std::string(name));
  if (found == names.end()) return std::nullopt;
  return static_cast<std::size_t>(found->second);
}

/// Calls text(part) and group(name) for the parts of a replacement.
template <typename Text, typename Group>
void split_replacement(std::string_view replacement, const Text& text, const Group& group) {
  for (auto dollar = replacement.find('$'); dollar != std::string_view::npos;
       dollar = replacement.find('$')) {
    text(replacement.substr(0, dollar));
    replacement.remove_prefix(dollar + 1);
    if (replacement.starts_with('$')) {
      text("$");
      replacement.remove_prefix(1);
    } else if (const auto name = take_group_name(replacement); !name.empty()) {
      group(name);
    } else {
      text("$");
    }
  }
  text(replacement);
}

std::optional<std::string> expanded(const RE2& pattern, RE2::Anchor anchor, std::string_view text,
                                    std::string_view replacement) {
  Groups groups(static_cast<std::size_t>(pattern.NumberOfCapturingGroups()) + 1);
  if (!match(pattern, anchor, text, groups)) return std::nullopt;
  std::string out;
  split_replacement(
      replacement, [&](std::string_view part) { out += part; },
      [&](std::string_view name) {
        const auto number = number_of(pattern, name).value_or(groups.size());
        if (number < groups.size()) out.append(groups[number].data(), groups[number].size());
      });
  return out;
}

}  // namespace

Result<Filter> make_filter(std::string_view regex, PatternUse use) {
  if (regex.empty()) return Filter([](std::string_view) { return true; });
  auto pattern = compile(regex, false);
  if (!pattern) return pattern.error();
  const auto wants = [pattern = std::move(*pattern), use](std::string_view name) {
    const bool matches = RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), *pattern);
    return matches == (use == PatternUse::include);
  };
  return Filter(wants, cat(use == PatternUse::include ? "include " : "exclude ", regex));
}

Result<WholeRegex> WholeRegex::compile(std::string_view regex) {
  auto pattern = msp::compile(regex, true);
  if (!pattern) return pattern.error();
  return WholeRegex(std::move(*pattern));
}

bool WholeRegex::matches(std::string_view text) const {
  Groups none;
  return match(*pattern_, RE2::ANCHOR_BOTH, text, none);
}

std::optional<std::string> WholeRegex::expand(std::string_view text,
                                              std::string_view replacement) const {
  return expanded(*pattern_, RE2::ANCHOR_BOTH, text, replacement);
}

std::string WholeRegex::unknown_group(std::string_view replacement) const {
  std::string unknown;
  split_replacement(
      replacement, [](std::string_view) {},
      [&](std::string_view name) {
        if (unknown.empty() && !number_of(*pattern_, name)) unknown = name;
      });
  return unknown;
}

Result<PartRegex> PartRegex::compile(std::string_view regex) {
  auto pattern = msp::compile(regex, false);
  if (!pattern) return pattern.error();
  return PartRegex(std::move(*pattern));
}

std::optional<std::string> PartRegex::expand(std::string_view text,
                                             std::string_view replacement) const {
  return expanded(*pattern_, RE2::UNANCHORED, text, replacement);
}

}  // namespace msp
