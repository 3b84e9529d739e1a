#include "agent/config/diagnostics.h"

#include <algorithm>
#include <tuple>

#include "agent/base/redact.h"
#include "agent/base/text.h"

namespace msp::config {

void Diagnostics::add(Position at, std::string text) {
  errors_.push_back({file_, at.line, at.column, std::move(text), {}});
  if (errors_.size() >= 4 * kErrorsMax) keep_first();
}

/// Sorts, and forgets what is behind the first kErrorsMax.
void Diagnostics::keep_first() {
  std::stable_sort(errors_.begin(), errors_.end(), [](const ConfigError& a, const ConfigError& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  if (errors_.size() <= kErrorsMax) return;
  left_out_ += errors_.size() - kErrorsMax;
  errors_.resize(kErrorsMax);
}

void Diagnostics::reject(Position at, std::string_view key, std::string_view what,
                         std::string_view accepted) {
  add(at, cat(key, ": found ", what, "; accepted: ", accepted));
}

std::vector<ConfigError> Diagnostics::take() {
  keep_first();
  const auto more = std::exchange(left_out_, 0);
  if (more > 0) errors_.push_back({file_, 0, 0, cat("and ", more, " more errors"), {}});
  return std::exchange(errors_, {});
}

std::string printable(std::string_view text) {
  constexpr std::size_t kBytesMax = 60;
  return visible(redact(text), kBytesMax);  // before it is cut: a URL's login ends with its '@'
}

std::string shown(std::string_view text) {
  return cat("'", printable(text), "'");
}

}  // namespace msp::config
