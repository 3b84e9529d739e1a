#include "agent/config/pattern.h"

#include <re2/re2.h>

#include <memory>

#include "agent/core/text.h"

namespace msp {
namespace {

Result<std::shared_ptr<const RE2>> compile(const std::string& pattern) {
  auto regex = std::make_shared<const RE2>(pattern, RE2::Quiet);
  if (regex->ok()) return regex;
  return failed(cat("'", pattern, "' is not a regular expression: ", regex->error()));
}

bool matches(const RE2& regex, std::string_view name) {
  return RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), regex);
}

}  // namespace

Result<Filter> excluding(const std::string& pattern) {
  if (pattern.empty()) return Filter([](std::string_view) { return true; });
  auto regex = compile(pattern);
  if (!regex) return regex.error();
  return Filter([regex = *regex](std::string_view name) { return !matches(*regex, name); });
}

Result<Filter> including(const std::string& pattern) {
  auto regex = compile(pattern);
  if (!regex) return regex.error();
  return Filter([regex = *regex](std::string_view name) { return matches(*regex, name); });
}

}  // namespace msp
