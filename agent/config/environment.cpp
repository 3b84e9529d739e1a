#include "agent/config/environment.h"

#include <cstdlib>

#include "agent/base/text.h"
#include "agent/config/validators.h"

namespace msp::config {
namespace {

/// What stands for ${`inside`}.
Result<std::string> value_of(std::string_view inside) {
  constexpr std::string_view kAccepted = "accepted: ${NAME}, ${NAME:-default}, or $$ for a '$'";
  constexpr std::string_view kDefault = ":-";
  const auto separator = inside.find(kDefault);
  const std::string name(inside.substr(0, separator));
  if (!is_variable_name(name)) return failed(cat("found '${' without a name; ", kAccepted));
  if (inside.find("${") != std::string_view::npos) {
    return failed(cat("found '${' inside of '${..}'; ", kAccepted));
  }
  const char* const value = std::getenv(name.c_str());
  if (separator == std::string_view::npos) {
    if (value == nullptr) {
      return failed(cat("the environment variable ", name, " is not set; set it, or write ${", name,
                        ":-default}"));
    }
    return std::string(value);
  }
  if (value == nullptr || *value == '\0') {
    return std::string(inside.substr(separator + kDefault.size()));
  }
  return std::string(value);
}

}  // namespace

Result<std::string> expand_environment(std::string_view text) {
  // A variable may have 128 KiB, and stand in a value a hundred thousand times.
  constexpr std::size_t kBytesMax = 256 << 10;
  std::string expanded;
  for (;;) {
    if (expanded.size() > kBytesMax) {
      return failed(cat("found more than ", kBytesMax, " bytes, with what the environment ",
                        "variables hold; accepted: at most that many"));
    }
    const auto dollar = text.find('$');
    expanded += text.substr(0, dollar);
    if (dollar == std::string_view::npos) return expanded;
    text.remove_prefix(dollar);
    if (text.starts_with("$$")) {
      expanded += '$';
      text.remove_prefix(2);
    } else if (text.starts_with("${")) {
      const auto end = text.find('}');
      if (end == std::string_view::npos) {
        return failed(
            "found '${' without '}'; accepted: ${NAME}, ${NAME:-default}, or $$ for a '$'");
      }
      const auto value = value_of(text.substr(2, end - 2));
      if (!value) return value.error();
      expanded += *value;
      text.remove_prefix(end + 1);
    } else {
      expanded += '$';
      text.remove_prefix(1);
    }
  }
}

}  // namespace msp::config
