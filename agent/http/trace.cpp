#include "agent/http/trace.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "agent/base/text.h"

namespace msp::http {

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
  if (redirects == 0 && !addresses.empty()) home_address = addresses.back();
}

}  // namespace msp::http
