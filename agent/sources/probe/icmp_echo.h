// One ICMP echo request (RFC 792, RFC 4443) and the wait for its reply.
//
// The socket is a datagram socket, which needs no privilege: the kernel allows it to the groups of
// net.ipv4.ping_group_range (icmp(7)) and gives it the replies to its own requests only. Where it does
// not, a raw socket is tried, which takes CAP_NET_RAW.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "agent/base/file.h"
#include "agent/base/result.h"
#include "agent/http/socket_task.h"

namespace msp::sources {

class IcmpEcho final : public http::SocketTask {
 public:
  Result<void> begin(const http::SocketAddress& to) override;
  bool step() override;
  int fd() const override { return socket_.get(); }

  // After it is over, for which ever reason.

  bool has_reply() const { return rtt_ns_ > 0; }
  std::int64_t setup_ns() const { return setup_ns_; }
  std::int64_t rtt_ns() const { return rtt_ns_; }  // 0: there was no reply
  /// Its hop limit, or TTL; none where the kernel does not tell.
  std::optional<int> hop_limit() const { return hop_limit_; }
  /// Why the request could not be sent; empty: it was.
  const std::string& problem() const { return problem_; }

  static constexpr std::size_t kHeaderBytes = 8;
  static constexpr std::size_t kTokenBytes = 8;
  using Packet = std::array<unsigned char, kHeaderBytes + kTokenBytes>;

  /// Whether `received`, which begins with its ICMP header, is the reply to `request`. A datagram
  /// socket has another id than its user has written.
  static bool is_reply(std::span<const unsigned char> received, const Packet& request, bool is_ip6,
                       bool has_own_id);

 private:
  Result<void> open(int family);

  Fd socket_;
  Packet request_{};
  bool is_ip6_ = false;
  bool is_raw_ = false;
  std::int64_t sent_ns_ = 0;
  std::int64_t setup_ns_ = 0;
  std::int64_t rtt_ns_ = 0;
  std::optional<int> hop_limit_;
  std::string problem_;
};

/// RFC 1071, of an even number of bytes: 0 where they hold their own checksum.
std::uint16_t internet_checksum(std::span<const unsigned char> bytes);

}  // namespace msp::sources
