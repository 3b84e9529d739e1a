// What a probe says over a socket of its own, once libcurl has resolved the name of the server.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "agent/base/result.h"

namespace msp::http {

struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;  // 0: there is none

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
  int family() const { return bytes.ss_family; }
  void set_port(std::uint16_t port) {  // stands at the same place for both families
    reinterpret_cast<sockaddr_in*>(&bytes)->sin_port = htons(port);
  }
};

/// Called in the thread of the requests; none of it waits. What has come of it, the task itself says
/// afterwards.
class SocketTask {
 public:
  virtual ~SocketTask() = default;

  /// Opens the socket, and may send what comes first. An error says what this host lacks.
  virtual Result<void> begin(const SocketAddress& to) = 0;

  /// Goes on as far as the socket lets it. True: it is over, well or not.
  virtual bool step() = 0;

  /// Of the socket, between begin() and the end.
  virtual int fd() const = 0;
  virtual bool waits_to_write() const { return false; }
};

}  // namespace msp::http
