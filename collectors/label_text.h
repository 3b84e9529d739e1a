// Texts of the kernel that become the value of a label.
#pragma once

#include <algorithm>
#include <string_view>

namespace msp::collectors {

/// Whether there is a control character (C0 but for the tab, or DEL) in `text`: then it is garbled,
/// for nothing that the kernel names by itself has one. Devices and mount points are named by people
/// and may have any.
inline bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

}  // namespace msp::collectors
