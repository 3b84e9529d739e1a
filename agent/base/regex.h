// Regular expressions over names of devices, mount points and file system types, and over labels.
// The only file that knows RE2, which is what node_exporter's regexp package implements: the same
// expression selects the same names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/filter.h"
#include "agent/base/result.h"

namespace msp {

enum class PatternUse { exclude, include };

/// A filter that wants what `regex` does not match (exclude), or only what it matches (include).
/// The match is anywhere in the name, as regexp.MatchString's; an empty `regex` wants everything.
/// An error says only why the expression does not compile. The filter may be called from any
/// thread.
Result<Filter> make_filter(std::string_view regex, PatternUse use);

/// The groups of `regex` in `text`, the whole match first, as Prometheus' relabelling finds them:
/// the expression is anchored at both ends. Nothing where it does not match.
Result<std::optional<std::vector<std::string>>> groups_of_whole(std::string_view regex,
                                                                std::string_view text);

}  // namespace msp
