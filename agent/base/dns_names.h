// Words for the numbers of DNS messages (https://www.iana.org/assignments/dns-parameters).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace msp {

struct DnsWord {
  std::string_view word;
  std::uint16_t number;
};

/// Types of records, and what is a type in a question only.
inline constexpr DnsWord kDnsTypes[] = {
    {"A", 1},      {"NS", 2},      {"CNAME", 5},  {"SOA", 6},    {"PTR", 12},
    {"MX", 15},    {"TXT", 16},    {"AAAA", 28},  {"SRV", 33},   {"NAPTR", 35},
    {"DNAME", 39}, {"OPT", 41},    {"DS", 43},    {"SSHFP", 44}, {"RRSIG", 46},
    {"NSEC", 47},  {"DNSKEY", 48}, {"NSEC3", 50}, {"TLSA", 52},  {"SVCB", 64},
    {"HTTPS", 65}, {"SPF", 99},    {"AXFR", 252}, {"ANY", 255},  {"CAA", 257},
};

inline constexpr DnsWord kDnsRcodes[] = {
    {"NOERROR", 0}, {"FORMERR", 1}, {"SERVFAIL", 2}, {"NXDOMAIN", 3},
    {"NOTIMP", 4},  {"REFUSED", 5}, {"YXDOMAIN", 6}, {"YXRRSET", 7},
    {"NXRRSET", 8}, {"NOTAUTH", 9}, {"NOTZONE", 10},
};

constexpr std::optional<std::uint16_t> dns_number(std::span<const DnsWord> words,
                                                  std::string_view word) {
  for (const auto& one : words) {
    if (one.word == word) return one.number;
  }
  return std::nullopt;
}

/// Empty: it has none here.
constexpr std::string_view dns_word(std::span<const DnsWord> words, std::uint16_t number) {
  for (const auto& one : words) {
    if (one.number == number) return one.word;
  }
  return {};
}

}  // namespace msp
