// What single values of the configuration may be, for whoever reads one or makes one: the
// configuration itself, `init`, and the import of other agents' configurations.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace msp {

inline constexpr std::size_t kNameBytesMax = 255;         // server_name, environment
inline constexpr std::size_t kLabelValueBytesMax = 1024;  // what receivers take without cutting it

/// [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?, what a DNS label and an X-Scope-OrgID can both be.
bool is_customer_id(std::string_view id);

/// The user of basic_auth (RFC 7617, section 2).
bool is_user_name(std::string_view name);

/// The key `name` of an endpoint.
bool is_endpoint_name(std::string_view name);

/// An entry of no_proxy.
bool is_no_proxy_entry(std::string_view text);

/// RFC 9110, section 5.6.2: token.
bool is_header_name(std::string_view name);

/// Headers, in any case, that the agent sets itself or that would change what the request is.
bool is_reserved_header(std::string_view name);

/// Whether TLS may ask for a certificate of this name.
bool is_tls_server_name(std::string_view name);

/// Whether ${NAME} may stand in a value of the configuration.
bool is_variable_name(std::string_view name);

}  // namespace msp
