#include "agent/listen/request_parser.h"

#include <catch2/catch.hpp>

#include "agent/base/text.h"

namespace msp {
namespace {

using State = listen::RequestParser::State;

/// The whole of `bytes`, given in pieces of `piece` bytes.
State feed(listen::RequestParser& parser, std::string_view bytes, std::size_t piece = 1 << 20,
           std::size_t body_bytes_max = 1000) {
  std::string input;
  for (std::size_t i = 0; i < bytes.size(); i += piece) {
    input += bytes.substr(i, piece);
    for (auto before = parser.state();; before = parser.state()) {
      const auto state = parser.put(input);
      if (before == State::head && state == State::body) parser.limit_body(body_bytes_max);
      if (state == before || state == State::bad) break;
    }
    if (parser.state() == State::bad) break;
  }
  return parser.state();
}

std::string post(std::string_view fields, std::string_view body) {
  return cat("POST /api/v1/write?a=b HTTP/1.1\r\nHost: relay\r\n", fields, "\r\n", body);
}

/// The status that a request is refused with.
int refused(std::string_view bytes) {
  listen::RequestParser parser;
  INFO(bytes.substr(0, 200));
  CHECK(feed(parser, bytes) == State::bad);
  CHECK_FALSE(parser.problem().empty());
  listen::RequestParser slow;
  CHECK(feed(slow, bytes, 1) == State::bad);
  CHECK(slow.status() == parser.status());
  return parser.status();
}

}  // namespace

TEST_CASE("request: head and body are the same however the bytes come") {
  const auto bytes =
      post("Content-Length: 5\r\nX-Empty:\r\nAUTHORIZATION:  Bearer  x \r\n", "ab\r\nc");
  for (const std::size_t piece : {1, 2, 3, 7, 1000}) {
    listen::RequestParser parser;
    REQUIRE(feed(parser, bytes, piece) == State::done);
    CHECK(parser.head().method == "POST");
    CHECK(parser.head().path == "/api/v1/write");
    CHECK(parser.head().query == "a=b");
    CHECK(parser.head().field("host") == "relay");
    CHECK(parser.head().field("authorization") == "Bearer  x");
    CHECK(parser.head().field("x-empty").empty());
    CHECK(parser.head().keeps_alive);
    CHECK(parser.body() == "ab\r\nc");
  }
}

TEST_CASE(
    "request: chunks are one body, and what is behind their sizes and behind the last is nothing") {
  const auto bytes = post("Transfer-Encoding: chunked\r\n",
                          "3;name=value\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX-Behind: 1\r\n\r\n");
  for (const std::size_t piece : {1, 4, 1000}) {
    listen::RequestParser parser;
    REQUIRE(feed(parser, bytes, piece) == State::done);
    CHECK(parser.head().is_chunked);
    CHECK(parser.body() == "abc0123456789");
    CHECK(parser.head().field("x-behind").empty());
  }
}

TEST_CASE("request: what follows one request is left for the next one") {
  std::string input = cat(post("Content-Length: 1\r\n", "x"), "\r\nGET / HTTP/1.0\r\n\r\n");
  listen::RequestParser first;
  REQUIRE(first.put(input) == State::body);
  first.limit_body(1);
  REQUIRE(first.put(input) == State::done);
  listen::RequestParser second;
  REQUIRE(second.put(input) == State::body);
  REQUIRE(second.put(input) == State::done);
  CHECK(second.head().path == "/");
  CHECK_FALSE(second.head().keeps_alive);
  CHECK(input.empty());
}

TEST_CASE("request: a request inside another one is refused: two lengths, or a length and chunks") {
  CHECK(refused(post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")) == 400);
  CHECK(refused(post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")) == 400);
  CHECK(refused(post("Content-Length: 5, 5\r\n", "hello")) == 400);
  CHECK(refused(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")) == 400);
  CHECK(refused(post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")) == 400);
  for (const auto* length : {"+5", "-5", "0x5", "5 ", " 5 5", "5;", "", "99999999999999999999"}) {
    if (std::string_view(length) == "5 ") continue;  // blanks around a value are none of it
    CHECK(refused(post(cat("Content-Length: ", length, "\r\n"), "hello")) == 400);
  }
}

TEST_CASE("request: no encoding but chunked") {
  for (const auto* encoding : {"gzip, chunked", "chunked, chunked", "chunked, identity", "identity",
                               "xchunked", "chunked;q=1", "\vchunked", "\"chunked\""}) {
    const auto status = refused(post(cat("Transfer-Encoding: ", encoding, "\r\n"), "0\r\n\r\n"));
    CHECK((status == 501 || status == 400));
  }
  CHECK(refused(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                     "0\r\n\r\n")) == 400);
  CHECK(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400);
}

TEST_CASE("request: odd chunk headers are refused") {
  for (const auto* chunks :
       {"x\r\nabc\r\n0\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\r\nabcX\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n", "11111111111111111\r\nabc\r\n0\r\n\r\n", "\r\n\r\n0\r\n\r\n"}) {
    CHECK(refused(post("Transfer-Encoding: chunked\r\n", chunks)) == 400);
  }
  // A line feed alone ends none.
  listen::RequestParser bare;
  CHECK(feed(bare, post("Transfer-Encoding: chunked\r\n", "3\nabc\n0\n\n")) != State::done);
}

TEST_CASE("request: what is not the body of chunks is not kept without end") {
  for (const auto& chunks :
       {cat("3;", std::string(5000, 'x')), cat("0\r\nX: ", std::string(5000, 'x'))}) {
    listen::RequestParser parser;
    CHECK(feed(parser, post("Transfer-Encoding: chunked\r\n", chunks), 100) == State::bad);
    CHECK(parser.status() == 400);
  }
}

TEST_CASE("request: lines that another program may read otherwise are refused") {
  CHECK(refused("GET / HTTP/1.1\nHost: a\n\n\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost : a\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHo st: a\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n") == 400);
  CHECK(refused(std::string_view("GET / HTTP/1.1\r\nHost: a\r\nX: \0b\r\n\r\n", 35)) == 400);
  CHECK(refused("GET  / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1 \r\nHost: a\r\n\r\n") == 505);
}

TEST_CASE("request: one host, one version, a path") {
  CHECK(refused("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n") == 505);
  CHECK(refused("GET / HTTP/0.9\r\nHost: a\r\n\r\n") == 505);
  CHECK(refused("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  CHECK(refused("GET a HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  CHECK(refused("GET /\r\n\r\n") == 400);
  CHECK(refused("\x16\x03\x01\x02\r\n\r\n") == 400);
  CHECK(refused(post("Expect: 200-maybe\r\n", "")) == 417);
  CHECK(refused(post("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", "")) == 400);
}

TEST_CASE("request: a head has an end, and so has a body") {
  CHECK(refused(cat("GET / HTTP/1.1\r\nHost: a\r\nX: ", std::string(17'000, 'x'))) == 431);
  CHECK(refused(std::string(17'000, 'x')) == 431);
  std::string many;
  for (int i = 0; i < 64; ++i) many += cat("X-", i, ": 1\r\n");
  CHECK(refused(post(many, "")) == 431);
  CHECK(refused(post("Transfer-Encoding: chunked\r\n",
                     cat("3E9\r\n", std::string(1001, 'x'), "\r\n0\r\n\r\n"))) == 413);
  listen::RequestParser parser;
  CHECK(feed(parser, post("Content-Length: 1000\r\n", std::string(1000, 'x'))) == State::done);
}

}  // namespace msp
