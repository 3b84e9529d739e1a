#include "agent/listen/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/base/text.h"

namespace msp::listen {
namespace {

constexpr int kBacklog = 128;
constexpr std::string_view kUnix = "unix:";

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress socket_address(const ListenAddress& address, ListenAddress::Family family) {
  SocketAddress made;
  if (family == ListenAddress::Family::unix_socket) {
    auto& un = reinterpret_cast<sockaddr_un&>(made.storage);
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, address.host.data(), address.host.size());
    made.size = sizeof un;
  } else if (family == ListenAddress::Family::ip4) {
    auto& in = reinterpret_cast<sockaddr_in&>(made.storage);
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    if (!address.host.empty()) ::inet_pton(AF_INET, address.host.c_str(), &in.sin_addr);
    made.size = sizeof in;
  } else {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(made.storage);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(address.port);
    if (!address.host.empty()) ::inet_pton(AF_INET6, address.host.c_str(), &in6.sin6_addr);
    made.size = sizeof in6;
  }
  return made;
}

Fd open_socket(int family) {
  return Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

/// Removes the file of a socket that nobody listens at any more.
void remove_left_socket(const std::string& path, SocketAddress& at) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const auto fd = open_socket(AF_UNIX);
  if (!fd || ::connect(fd.get(), at.get(), at.size) == 0 || errno != ECONNREFUSED) return;
  ::unlink(path.c_str());
}

Error cannot_listen(std::string_view where, int error) {
  std::string_view advice = "; correct listen.address";
  if (error == EADDRINUSE)
    advice = "; another program listens there: end it, or choose another port";
  if (error == EACCES)
    advice = "; ports below 1024 and folders of others need rights that it lacks";
  if (error == EAFNOSUPPORT) {
    advice =
        "; the host has no such addresses, or RestrictAddressFamilies= of the unit forbids them";
  }
  return failed(cat("cannot listen at ", where, ": ", errno_text(error), advice));
}

}  // namespace

bool ListenAddress::is_local() const {
  if (family == Family::unix_socket) return true;
  if (family == Family::ip4) return host.starts_with("127.");
  return family == Family::ip6 && host == "::1";
}

std::optional<ListenAddress> parse_listen_address(std::string_view text) {
  using Family = ListenAddress::Family;
  if (text.starts_with(kUnix)) {
    const auto path = text.substr(kUnix.size());
    const bool fits = path.size() < sizeof sockaddr_un{}.sun_path;
    if (!path.starts_with('/') || !fits) return std::nullopt;
    return ListenAddress{Family::unix_socket, std::string(path), 0};
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  if (!port || *port == 0) return std::nullopt;
  auto host = text.substr(0, colon);
  if (host.empty()) return ListenAddress{Family::any, {}, *port};
  const bool is_ip6 = host.starts_with('[') && host.ends_with(']');
  if (is_ip6) host = host.substr(1, host.size() - 2);
  ListenAddress address{is_ip6 ? Family::ip6 : Family::ip4, std::string(host), *port};
  in6_addr binary{};
  if (::inet_pton(is_ip6 ? AF_INET6 : AF_INET, address.host.c_str(), &binary) != 1) {
    return std::nullopt;
  }
  return address;
}

bool is_listen_address(std::string_view text) {
  return parse_listen_address(text).has_value();
}

Result<Fd> listen_at(const ListenAddress& address) {
  using Family = ListenAddress::Family;
  auto family = address.family == Family::any ? Family::ip6 : address.family;
  const auto where =
      family == Family::unix_socket
          ? cat(kUnix, address.host)
          : cat(address.family == Family::ip6 ? cat("[", address.host, "]") : address.host, ":",
                address.port);
  auto fd = open_socket(family == Family::unix_socket ? AF_UNIX
                        : family == Family::ip4       ? AF_INET
                                                      : AF_INET6);
  if (!fd && address.family == Family::any) {
    family = Family::ip4;
    fd = open_socket(AF_INET);
  }
  if (!fd) return cannot_listen(where, errno);
  const int on = 1;
  const int only_ip6 = address.family == Family::ip6 ? 1 : 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == Family::ip6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_ip6, sizeof only_ip6);
  }
  auto at = socket_address(address, family);
  if (family == Family::unix_socket) remove_left_socket(address.host, at);
  if (::bind(fd.get(), at.get(), at.size) != 0) return cannot_listen(where, errno);
  // For its owner and group: whoever is to scrape it joins the group.
  if (family == Family::unix_socket) ::chmod(address.host.c_str(), 0660);
  if (::listen(fd.get(), kBacklog) != 0) return cannot_listen(where, errno);
  return fd;
}

}  // namespace msp::listen
