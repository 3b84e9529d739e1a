// remote_write of the configuration: one mapping or a list of them.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/config/section.h"

namespace msp {

/// Reads `top`'s key remote_write; `interval` is that of the scrapes. Adds to `inline_secrets` the
/// keys whose secret is in the file.
std::vector<EndpointConfig> read_endpoints(Section& top, std::chrono::milliseconds interval,
                                           Diagnostics& findings,
                                           std::vector<std::string>& inline_secrets);

}  // namespace msp
