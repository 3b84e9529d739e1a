// An expression that is looked for in a text, with groups, as those of blackbox_exporter's
// query_response. regex.cpp has it, for RE2's sake.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/result.h"

namespace re2 {
class RE2;
}

namespace msp {

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
