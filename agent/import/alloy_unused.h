// Components of Alloy that this host's metrics do not come through.
#pragma once

#include <string_view>

namespace msp::import {

/// Why one of the kind `kind` is not carried over.
std::string_view why_not_carried_over(std::string_view kind);

}  // namespace msp::import
