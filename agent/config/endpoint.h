// The keys under remote_write.
#pragma once

#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/config/document.h"
#include "agent/config/mapping.h"

namespace msp {

/// Of `top`'s key remote_write: one mapping, or a list of them. `warnings` are about files of
/// secrets.
std::vector<EndpointConfig> read_endpoints(Mapping& top, std::vector<Problem>& problems,
                                           std::vector<std::string>& warnings);

}  // namespace msp
