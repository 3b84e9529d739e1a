#include "agent/sources/probe/icmp_echo.h"

#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::sources {
namespace {

// Larger packets than an Ethernet frame are no replies to ours.
constexpr std::size_t kPacketBytesMax = 2048;

/// "echo request" of each family.
unsigned char type_of_request(bool is_ip6) {
  return is_ip6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
}
unsigned char type_of_reply(bool is_ip6) {
  return is_ip6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY;
}

/// A raw socket of IPv4 gives the IP header as well.
std::span<const unsigned char> without_ip_header(std::span<const unsigned char> packet) {
  const std::size_t size = packet.empty() ? 0 : (packet[0] & 15u) * 4u;
  return packet.subspan(std::min(size, packet.size()));
}

std::optional<int> hop_limit_of(const msghdr& message) {
  for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), part)) {
    const bool is_hop_limit =
        (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TTL) ||
        (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_HOPLIMIT);
    if (!is_hop_limit || part->cmsg_len < CMSG_LEN(sizeof(int))) continue;
    int value = 0;
    std::memcpy(&value, CMSG_DATA(part), sizeof value);
    return value;
  }
  return std::nullopt;
}

}  // namespace

std::uint16_t internet_checksum(std::span<const unsigned char> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += bytes[i] << 8 | bytes[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

bool IcmpEcho::is_reply(std::span<const unsigned char> received, const Packet& request, bool is_ip6,
                        bool has_own_id) {
  if (received.size() != request.size() || received[0] != type_of_reply(is_ip6)) return false;
  const std::size_t same_from = has_own_id ? 4 : 6;  // the id, the sequence number, the token
  return received[1] == 0 &&
         std::equal(request.begin() + same_from, request.end(), received.begin() + same_from);
}

Result<void> IcmpEcho::open(int family) {
  const int protocol = is_ip6_ ? static_cast<int>(IPPROTO_ICMPV6) : static_cast<int>(IPPROTO_ICMP);
  int error = 0;
  for (const int type : {SOCK_DGRAM, SOCK_RAW}) {
    socket_ = Fd(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    is_raw_ = type == SOCK_RAW;
    if (socket_) return {};
    if (error == 0) error = errno;  // of the one that needs no privilege
  }
  if (error != EACCES && error != EPERM)
    return failed(cat("no socket for ICMP: ", errno_text(error)));
  return failed(
      "the kernel gives this user no socket for ICMP; set the sysctl net.ipv4.ping_group_range to "
      "\"0 2147483647\", or link /usr/share/msp-agent/raw-sockets.conf into the unit's .service.d, "
      "which gives CAP_NET_RAW");
}

Result<void> IcmpEcho::begin(const http::SocketAddress& to) {
  const auto begun_ns = monotonic_ns();
  is_ip6_ = to.family() == AF_INET6;
  if (auto opened = open(to.family()); !opened) return opened;
  const int on = 1;
  const int level = is_ip6_ ? static_cast<int>(IPPROTO_IPV6) : static_cast<int>(IPPROTO_IP);
  setsockopt(socket_.get(), level, is_ip6_ ? IPV6_RECVHOPLIMIT : IP_RECVTTL, &on, sizeof on);
  if (is_raw_ && is_ip6_) {
    icmp6_filter filter{};
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    setsockopt(socket_.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  }

  // Type, code, checksum, then all of it random: id, sequence number, token.
  if (getrandom(request_.data() + 4, request_.size() - 4, GRND_NONBLOCK) < 0) {
    return failed(cat("no random numbers from the kernel: ", errno_text(errno)));
  }
  request_[0] = type_of_request(is_ip6_);
  if (!is_ip6_) {  // of IPv6 the kernel makes it
    const auto sum = internet_checksum(request_);
    request_[2] = static_cast<unsigned char>(sum >> 8);
    request_[3] = static_cast<unsigned char>(sum);
  }

  auto peer = to;
  peer.set_port(0);
  // Connected, it gets nothing from other hosts.
  const bool is_connected = connect(socket_.get(), peer.get(), peer.size) == 0;
  sent_ns_ = monotonic_ns();
  setup_ns_ = sent_ns_ - begun_ns;
  if (!is_connected || send(socket_.get(), request_.data(), request_.size(), 0) < 0) {
    problem_ = cat("cannot be sent: ", errno_text(errno));
  }
  return {};
}

bool IcmpEcho::step() {
  if (!problem_.empty()) return true;
  unsigned char packet[kPacketBytesMax];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  for (;;) {
    iovec part{packet, sizeof packet};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const auto size = recvmsg(socket_.get(), &message, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (size < 0) {  // as of an ICMP error
      problem_ = cat("cannot be reached: ", errno_text(errno));
      return true;
    }
    std::span<const unsigned char> received(packet, static_cast<std::size_t>(size));
    if (is_raw_ && !is_ip6_) received = without_ip_header(received);
    if (!is_reply(received, request_, is_ip6_, is_raw_)) continue;
    rtt_ns_ = std::max<std::int64_t>(monotonic_ns() - sent_ns_, 1);
    hop_limit_ = hop_limit_of(message);
    return true;
  }
}

}  // namespace msp::sources
