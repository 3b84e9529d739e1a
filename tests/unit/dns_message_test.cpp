// Questions to name servers as bytes, and answers that are good, cut off, or lie.
#include "agent/sources/probe/dns_message.h"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>

namespace msp {
namespace {

using namespace std::string_literals;

const std::string kHeader = "\x12\x34\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00"s;
const std::string kQuestion = "\1a\7example\0\0\1\0\1"s;
constexpr std::string_view kOwner = "\xc0\x0c";  // the name of the question

std::string record(const std::string& type, const std::string& data,
                   std::string_view name = kOwner) {
  const auto size = data.size();
  return std::string(name) + type + "\0\1\0\0\0\x3c"s + static_cast<char>(size >> 8) +
         static_cast<char>(size) + data;
}

std::string text_of(const std::string& record_bytes) {
  const auto answer = sources::DnsAnswer::parse(kHeader + kQuestion + record_bytes);
  if (!answer) return answer.error().text;
  REQUIRE(answer->records(sources::DnsAnswer::answer).size() == 1);
  return answer->text(answer->records(sources::DnsAnswer::answer)[0]);
}

}  // namespace

TEST_CASE("dns: a question as bytes") {
  const auto request = sources::dns_request({.name = "a.example.", .type = 1}, 0x1234);
  REQUIRE(request);
  CHECK(*request == "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"s + kQuestion);
  CHECK(sources::dns_request({.name = "a.example", .type = 1}, 0x1234) == request);
  CHECK(sources::dns_request({.name = "."}, 1)->ends_with("\0\0\xff\0\1"s));
  for (const auto& name :
       {""s, ".a"s, "a..b"s, "a.."s, std::string(64, 'x'), std::string(300, '.')}) {
    CHECK_FALSE(sources::dns_request({.name = name}, 1));
  }
}

TEST_CASE("dns: what a record says is text as blackbox_exporter has it") {
  const std::string head = "a.example.\t60\tIN\t";
  CHECK(text_of(record("\0\1"s, "\xc0\0\2\1"s)) == head + "A\t192.0.2.1");
  CHECK(text_of(record("\0\x1c"s, "\x20\1\xd\xb8"s + std::string(11, '\0') + "\1")) ==
        head + "AAAA\t2001:db8::1");
  CHECK(text_of(record("\0\5"s, "\1b\xc0\x0e"s)) == head + "CNAME\tb.example.");
  CHECK(text_of(record("\0\xf"s, "\0\xa\xc0\x0c"s)) == head + "MX\t10 a.example.");
  CHECK(text_of(record("\0\x10"s, "\3a\"b\1\xff"s)) == head + "TXT\t\"a\\\"b\" \"\\255\"");
  CHECK(text_of(record("\0\x21"s, "\0\1\0\2\1\xbb\xc0\x0c"s)) == head + "SRV\t1 2 443 a.example.");
  CHECK(text_of(record("\1\1"s, "\0\5issueca"s)) == head + "CAA\t0 issue \"ca\"");
  CHECK(text_of(record("\xff\1"s, "\xab\1"s)) == head + "TYPE65281\t\\# 2 ab01");
  CHECK(text_of(record("\0\1"s, "\xc0\0\2\1"s, "\3x.y\0"s)) == "x\\.y.\t60\tIN\tA\t192.0.2.1");
}

TEST_CASE("dns: the serial of a zone") {
  const auto soa = "\xc0\x0c\xc0\x0c\x77\x35\x94\x01"s + std::string(16, '\0');
  const auto answer = sources::DnsAnswer::parse(kHeader + kQuestion + record("\0\6"s, soa));
  REQUIRE(answer.has_value());
  CHECK(answer->serial() == 2000000001u);
  CHECK(answer->text(answer->records(sources::DnsAnswer::answer)[0])
            .ends_with("\tSOA\ta.example. a.example. 2000000001 0 0 0 0"));
}

TEST_CASE("dns: an answer that is cut off or lies is an error") {
  const auto whole = kHeader + kQuestion + record("\0\5"s, "\1b\xc0\x0e"s);
  REQUIRE(sources::DnsAnswer::parse(whole).has_value());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(sources::DnsAnswer::parse(whole.substr(0, size)).has_value());
  }
  const auto after = static_cast<char>(kHeader.size() + kQuestion.size());
  const std::string self = {'\xc0', after};
  CHECK(text_of(record("\0\1"s, "\xc0\0\2\1"s, self)) == "the answer is damaged: a record");
  CHECK(text_of(record("\0\1"s, "\xc0\0\2"s)) == "the answer is damaged: what a record holds");
  CHECK(text_of(record("\0\x10"s, "\5ab"s)) == "the answer is damaged: what a record holds");
  CHECK(text_of(record("\0\6"s, "\xc0\x0c\xc0\x0c"s)) ==
        "the answer is damaged: what a record holds");
  // Labels that point at each other, and a name that grows with each pointer.
  CHECK_FALSE(
      sources::DnsAnswer::parse(kHeader + "\1a\xc0\x0c\0\1\0\1"s + "\xc0\x0e"s).has_value());
}

TEST_CASE("dns: an answer is to the question that was asked") {
  const auto request = *sources::dns_request({.name = "a.example", .type = 1}, 0x1234);
  const auto message = kHeader + kQuestion;
  CHECK(sources::answers(message, request));
  CHECK(sources::answers("\x12\x34\x84\x00\x00\x01\x00\x00\x00\x00\x00\x00\1A\7EXample\0\0\1\0\1"s,
                         request));
  CHECK(sources::answers("\x12\x34\x84\x01\x00\x00\x00\x00\x00\x00\x00\x00"s, request));
  CHECK_FALSE(sources::answers("\x12\x35"s + message.substr(2), request));
  CHECK_FALSE(sources::answers(request, request));  // a question
  CHECK_FALSE(sources::answers(kHeader + "\1b\7example\0\0\1\0\1"s, request));
  CHECK_FALSE(sources::answers(message.substr(0, message.size() - 1), request));
  CHECK_FALSE(sources::answers("", request));
}

}  // namespace msp
