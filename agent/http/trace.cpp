#include "agent/http/trace.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "agent/base/text.h"

namespace msp {

void HttpTrace::add_address(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address->sa_family == AF_INET) {
    sockaddr_in ip{};
    std::memcpy(&ip, address, sizeof ip);
    inet_ntop(AF_INET, &ip.sin_addr, text, sizeof text);
    addresses.push_back(cat(text, ":", ntohs(ip.sin_port)));
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 ip{};
    std::memcpy(&ip, address, sizeof ip);
    inet_ntop(AF_INET6, &ip.sin6_addr, text, sizeof text);
    addresses.push_back(cat("[", text, "]:", ntohs(ip.sin6_port)));
  }
}

std::string late_text(Reached reached, std::chrono::milliseconds timeout, const std::string& server,
                      const std::string& peer, std::string_view way) {
  const auto ms = timeout.count();
  const auto within =
      ms % 1000 == 0 ? cat(" within ", ms / 1000, " s") : cat(" within ", ms, " ms");
  switch (reached) {
    case Reached::nothing:
      return cat("no answer from the name servers", within, " when asked for ", peer,
                 "; see whether /etc/resolv.conf names the right ones");
    case Reached::name:
    case Reached::connection:
      return cat("no connection to ", peer, within, "; a firewall may drop it", way);
    case Reached::tls:
      return cat("no TLS connection to ", server, within,
                 ": does it speak TLS there? Check scheme and port of url");
    case Reached::server:
      break;
  }
  return cat("no answer from ", server, within,
             ": it or what stands before it is slow; look at its load, or raise timeout");
}

}  // namespace msp
