// What single values of the configuration may be, for whoever reads one or makes one: the
// configuration itself, `init`, and the import of other agents' configurations.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace msp::config {

inline constexpr std::size_t kNameBytesMax = 255;         // server_name, environment
inline constexpr std::size_t kLabelValueBytesMax = 1024;  // what receivers take without cutting it

/// What a customer_id may be: 1 to 63 of these characters. X-Scope-OrgID and the kit for the centre
/// take them as well.
inline constexpr std::string_view kCustomerIdAccepted =
    "1 to 63 characters a-z, A-Z, 0-9, '-' and '_', the first and last not '-', such as "
    "customer_id: alpha";
bool is_customer_id(std::string_view id);

/// One that is a DNS label, too, and that no comparison without regard to case takes for another.
bool is_plain_customer_id(std::string_view id);

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

}  // namespace msp::config
