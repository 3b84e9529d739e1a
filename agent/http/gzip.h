// gzip (RFC 1952) of a text that is given as a whole, fast rather than small.
#pragma once

#include <string>
#include <string_view>

namespace msp::http {

/// Empty where there is no memory for it: 70 kB while it works.
std::string gzip(std::string_view text);

}  // namespace msp::http
