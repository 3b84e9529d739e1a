// Regular expressions of the configuration. The only file that includes RE2 is pattern.cpp.
#pragma once

#include <string>

#include "agent/core/result.h"
#include "collectors/collector.h"

namespace msp {

/// A filter that takes what `pattern` does not match anywhere, as node_exporter's --*-exclude flags
/// (Go's regexp has RE2's syntax). An empty pattern excludes nothing.
Result<Filter> excluding(const std::string& pattern);

/// The opposite: takes only what matches.
Result<Filter> including(const std::string& pattern);

}  // namespace msp
