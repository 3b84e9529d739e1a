// Which packets are the reply to an ICMP echo request.
#include "agent/sources/probe/icmp_echo.h"

#include <catch2/catch.hpp>

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include <vector>

namespace msp {
namespace {

constexpr sources::IcmpEcho::Packet kRequest = {ICMP_ECHO, 0,   0x12, 0x34, 1,   2,   3,   4,
                                                't',       'o', 'k',  'e',  'n', '-', 'o', 'f'};

std::vector<unsigned char> reply(unsigned char type = ICMP_ECHOREPLY) {
  std::vector<unsigned char> packet(kRequest.begin(), kRequest.end());
  packet[0] = type;
  packet[2] = 0x77;  // the checksum is another one
  return packet;
}

}  // namespace

TEST_CASE("icmp: the reply to a request is known by sequence number and token") {
  CHECK(sources::IcmpEcho::is_reply(reply(), kRequest, false, true));
  CHECK(sources::IcmpEcho::is_reply(reply(ICMP6_ECHO_REPLY), kRequest, true, true));
  CHECK_FALSE(sources::IcmpEcho::is_reply(reply(), kRequest, true, true));
  CHECK_FALSE(sources::IcmpEcho::is_reply(reply(ICMP_ECHO), kRequest, false,
                                          true));  // our own, on loopback
  CHECK_FALSE(sources::IcmpEcho::is_reply(reply(ICMP_DEST_UNREACH), kRequest, false, true));
  for (const std::size_t at : {1u, 4u, 5u, 6u, 7u, 8u, 15u}) {
    auto other = reply();
    ++other[at];
    const bool is_id = at == 4 || at == 5;  // a datagram socket's is the kernel's
    CHECK_FALSE(sources::IcmpEcho::is_reply(other, kRequest, false, true));
    CHECK(sources::IcmpEcho::is_reply(other, kRequest, false, false) == is_id);
  }
  for (std::size_t size = 0; size < kRequest.size(); ++size) {
    const auto whole = reply();
    CHECK_FALSE(sources::IcmpEcho::is_reply(std::span(whole).first(size), kRequest, false, false));
  }
  auto longer = reply();
  longer.push_back(0);
  CHECK_FALSE(sources::IcmpEcho::is_reply(longer, kRequest, false, false));
}

TEST_CASE("icmp: a packet with its checksum adds up to 0") {
  auto packet = reply(ICMP_ECHO);
  packet[2] = packet[3] = 0;
  const auto sum = sources::internet_checksum(packet);
  packet[2] = static_cast<unsigned char>(sum >> 8);
  packet[3] = static_cast<unsigned char>(sum);
  CHECK(sources::internet_checksum(packet) == 0);
  // The example of RFC 1071, section 3.
  const unsigned char example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  CHECK(sources::internet_checksum(example) == static_cast<std::uint16_t>(~0xddf2));
}

}  // namespace msp
