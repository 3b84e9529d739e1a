// Who the agent says it is: the Authorization header of one request, made from the configuration
// and the files that it names. The files are read for every request, so that a rotated secret is in
// force at once, and what was read is wiped when the request is over.
#pragma once

#include <string>

#include "agent/base/result.h"
#include "agent/config/config.h"
#include "agent/http/wiped_memory.h"

namespace msp {

/// The whole line, "Authorization: Bearer ..", or nothing where nobody is to log in. Any error
/// names the file.
Result<Secret> authorization(const EndpointConfig& config);

/// Overwrites in `text`, which a server wrote, every secret of the endpoint, also those in files.
void hide_secrets(std::string& text, const EndpointConfig& config, const Secret& authorization);

}  // namespace msp
