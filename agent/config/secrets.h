// The secrets that a configuration holds.
#pragma once

#include "agent/base/redact.h"
#include "agent/config/config.h"

namespace msp::config {

/// Passwords, tokens, the values of headers, the login of proxy_url, and the query of url. Not what
/// stands in files of secrets: it is read for each request and kept by nobody. A header whose value
/// is a label of every sample, such as X-Scope-OrgID with the customer_id, is none.
Redactor secrets_of(const Config& config);

}  // namespace msp::config
