// ${NAME} and ${NAME:-default} in a value of the configuration, after the YAML is read: what is in
// the environment cannot change the file's structure.
#pragma once

#include <string>
#include <string_view>

#include "agent/base/result.h"

namespace msp::config {

/// `text` with each ${NAME} replaced by the variable and each ${NAME:-default} by the variable or,
/// where that is unset or empty, the default. `$$` is a '$'; any other '$' stays. What comes in is
/// not expanded again. Error texts name at most a variable, for `text` may be a secret.
Result<std::string> expand_environment(std::string_view text);

}  // namespace msp::config
