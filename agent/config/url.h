// What an endpoint's address may look like.
#pragma once

#include <string_view>

#include "agent/base/result.h"

namespace msp::config {

enum class UrlUser { refused, accepted };

/// Nothing, or what is wrong with `url`, which must be http or https and have a host: "without a
/// scheme", "with a space". Never repeats a part of it: there may be a password inside.
Result<void> check_url(std::string_view url, UrlUser user);

/// Whether `text` may be a name, a domain, an address or a network, as no_proxy lists them.
bool is_proxy_exception(std::string_view text);

}  // namespace msp::config
