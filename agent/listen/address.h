// Where the agent listens: 127.0.0.1:9100, [::1]:9100, :9100 for every address of the host, or
// unix:/run/msp-agent/metrics.sock. No names: a resolver may hang, and a name may become an address
// that the world can reach.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/file.h"
#include "agent/base/result.h"

namespace msp::listen {

struct ListenAddress {
  enum class Family {
    ip4,
    ip6,
    any,
    unix_socket
  };  // any: both of IP, or IPv4 where there is no IPv6
  Family family = Family::ip4;
  std::string host;  // without brackets; of a socket its path; empty: any
  std::uint16_t port = 0;

  /// Only this host can reach it.
  bool is_local() const;
  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

inline constexpr std::string_view kListenAccepted =
    "an IP address and a port, such as 127.0.0.1:9100 or [::1]:9100, :9100 for all addresses of "
    "the "
    "host, or unix:/path";

std::optional<ListenAddress> parse_listen_address(std::string_view text);
bool is_listen_address(std::string_view text);

/// A socket that listens there, not blocking. A socket's file that an ended process has left is
/// replaced, one that answers is not. The error says what failed and what to do.
Result<Fd> listen_at(const ListenAddress& address);

}  // namespace msp::listen
