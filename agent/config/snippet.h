// The line of a configuration file that an error is about, with a caret under the place. What may
// be a secret is not shown: the value of a key that is not known to hold none, and everything that
// stands where no key does.
#pragma once

#include <string>
#include <string_view>

namespace msp::config {

/// "  4 | interval: 0s\n    |           ^"; empty where there is no such line. Both count from 1,
/// columns in characters.
std::string excerpt(std::string_view text, int line, int column);

}  // namespace msp::config
