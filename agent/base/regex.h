// Regular expressions over names of devices, mount points and file system types, and over labels.
// The only file that knows RE2, which is what node_exporter's regexp package implements: the same
// expression selects the same names.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/filter.h"
#include "agent/base/result.h"

namespace re2 {
class RE2;
}

namespace msp {

enum class PatternUse { exclude, include };

/// A filter that wants what `regex` does not match (exclude), or only what it matches (include).
/// The match is anywhere in the name, as regexp.MatchString's; an empty `regex` wants everything.
/// An error says only why the expression does not compile. The filter may be called from any
/// thread.
Result<Filter> make_filter(std::string_view regex, PatternUse use);

/// An expression as Prometheus' relabel_config has it: it must match the whole text, and its dot
/// matches a newline, too. May be used from any thread; copies share what was compiled.
class WholeRegex {
 public:
  /// An error says only why the expression does not compile.
  static Result<WholeRegex> compile(std::string_view regex);

  bool matches(std::string_view text) const;

  /// `replacement` with the groups of `text` in the places of $1, ${1}, $name, ${name} and $$, as Go's
  /// Regexp.Expand does it: "$1x" is the group named 1x, and a group that is not there is empty.
  /// Nothing where the expression does not match.
  std::optional<std::string> expand(std::string_view text, std::string_view replacement) const;

  /// The first group in `replacement` that has a name which no group has, so that it is always empty:
  /// "1x" of "$1x". Empty where there is none.
  std::string unknown_group(std::string_view replacement) const;

 private:
  explicit WholeRegex(std::shared_ptr<const re2::RE2> pattern) : pattern_(std::move(pattern)) {}

  std::shared_ptr<const re2::RE2> pattern_;
};

/// An expression that is looked for anywhere in a text, as those of blackbox_exporter's query_response.
/// May be used from any thread; copies share what was compiled.
class PartRegex {
 public:
  /// An error says only why the expression does not compile.
  static Result<PartRegex> compile(std::string_view regex);

  /// As WholeRegex::expand(), with the groups of the first match anywhere in `text`.
  std::optional<std::string> expand(std::string_view text, std::string_view replacement) const;

 private:
  explicit PartRegex(std::shared_ptr<const re2::RE2> pattern) : pattern_(std::move(pattern)) {}

  std::shared_ptr<const re2::RE2> pattern_;
};

}  // namespace msp
