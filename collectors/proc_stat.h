// What cpu, stat and schedstat all know of their files.
#pragma once

#include <algorithm>
#include <string_view>

namespace msp::collectors {

/// Whether `name` can begin a line, of whatever kernel: a line that is not known is passed over in
/// silence, one that is no line of a kernel is not.
inline bool can_be_line_name(std::string_view name) {
  const auto can_be_in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), can_be_in_name);
}

}  // namespace msp::collectors
