#include "agent/base/regex.h"

#include <re2/re2.h>

#include <memory>
#include <utility>

#include "agent/base/text.h"

namespace msp {

namespace {

RE2::Options quiet_and_small() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(
      1 << 20);  // the default of 8 MiB is room for states that short names never need
  return options;
}

}  // namespace

Result<Filter> make_filter(std::string_view regex, PatternUse use) {
  if (regex.empty()) return Filter([](std::string_view) { return true; });
  const auto options = quiet_and_small();
  auto pattern = std::make_shared<const RE2>(re2::StringPiece(regex.data(), regex.size()), options);
  if (!pattern->ok()) {
    // "missing ): ^(veth": behind the colon is what the caller shows anyway.
    auto words = std::string_view(pattern->error());
    const auto of_what = cat(": ", pattern->error_arg());
    if (words.ends_with(of_what)) words.remove_suffix(of_what.size());
    const bool is_part = pattern->error_arg() != regex;
    return failed(is_part ? cat(words, " '", pattern->error_arg(), "'") : std::string(words));
  }
  const auto wants = [pattern = std::move(pattern), use](std::string_view name) {
    const bool matches = RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), *pattern);
    return matches == (use == PatternUse::include);
  };
  return Filter(wants, cat(use == PatternUse::include ? "include " : "exclude ", regex));
}

Result<std::optional<std::vector<std::string>>> groups_of_whole(std::string_view regex,
                                                                std::string_view text) {
  const RE2 pattern(re2::StringPiece(regex.data(), regex.size()), quiet_and_small());
  if (!pattern.ok()) return failed(pattern.error());
  std::vector<re2::StringPiece> found(static_cast<std::size_t>(pattern.NumberOfCapturingGroups()) +
                                      1);
  if (!pattern.Match(re2::StringPiece(text.data(), text.size()), 0, text.size(), RE2::ANCHOR_BOTH,
                     found.data(), static_cast<int>(found.size()))) {
    return std::optional<std::vector<std::string>>();
  }
  std::vector<std::string> groups;
  for (const auto& group : found) groups.emplace_back(group.data(), group.size());
  return std::optional(std::move(groups));
}

}  // namespace msp
