// Requests of any method, and bodies that are wanted.
#include "agent/http/client.h"

#include <catch2/catch.hpp>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "tests/support/gzip.h"
#include "tests/support/http_fixture.h"
#include "tests/support/scripted_server.h"

namespace msp {

using namespace test;
using namespace std::chrono_literals;

TEST_CASE("http: a GET brings the body, packed or not, and the headers", "[threads]") {
  const std::string text = "# TYPE a gauge\na 1\n";
  const auto packed = gzip(text);
  const ScriptedServer server(
      {{.text =
            cat("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: ",
                text.size(), "\r\n\r\n", text)},
       {.text = cat("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nContent-Length: ", packed.size(),
                    "\r\n\r\n", packed)},
       {.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na "
                "1\r\n1\r\n\n\r\n0\r\n\r\n"},
       answer("200 OK")});
  auto options = options_for(server.url("/metrics"));
  options.user_agent = "msp-agent/1";
  http::HttpClient client(options);
  http::HttpTrace trace;
  const http::HttpRequest get{.headers = {"Accept: text/plain"}, .content_max = 1000};
  auto reply = client.send(get, &trace);
  CHECK(reply.status == 200);
  CHECK(reply.content == text);
  CHECK(reply.words.empty());
  CHECK(reply.header("Content-Type") == "text/plain; version=0.0.4");
  CHECK(trace.http_version == 11);
  CHECK(trace.first_byte_us > 0);
  CHECK(trace.first_byte_us <= trace.total_us);
  CHECK(client.send(get).content == text);
  CHECK(client.send(get).content == "a 1\n");
  reply = client.send(get);
  CHECK(reply.status == 200);
  CHECK(reply.content.empty());
  for (const auto& request : server.requests()) {
    CHECK(request.head.starts_with("GET /metrics HTTP/1.1\r\n"));
    CHECK(request.has("Accept: text/plain\r\n"));
    CHECK(request.has("Accept-Encoding: gzip\r\n"));
    CHECK(request.has("User-Agent: msp-agent/1\r\n"));
    CHECK(request.connection == 1);
  }
}

TEST_CASE("http: other methods, and one client for all of them", "[threads]") {
  const ScriptedServer server({{.text = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"},
                               answer("204 x"),
                               answer("204 x"),
                               answer("204 x"),
                               answer("204 x")});
  const auto options = options_for(server.url());
  http::HttpClient client(options);
  const auto head = client.send({.method = "HEAD", .content_max = 10});
  CHECK(head.status == 200);
  CHECK(head.header("Content-Length") == "99");
  CHECK(client.send({.method = "PUT", .body = "x"}).status == 204);
  CHECK(client.send({.method = "OPTIONS"}).status == 204);
  CHECK(client.send({.method = "POST"}).status == 204);
  CHECK(client.send({}).status == 204);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 5);
  CHECK(requests[0].head.starts_with("HEAD /w "));
  CHECK(requests[1].head.starts_with("PUT /w "));
  CHECK(requests[1].body == "x");
  CHECK(requests[2].head.starts_with("OPTIONS /w "));
  CHECK(requests[3].head.starts_with("POST /w "));
  CHECK(requests[3].has("Content-Length: 0\r\n"));
  CHECK(requests[4].head.starts_with("GET /w "));
}

TEST_CASE("http: a body that is not whole, or too long, is an error and no success", "[threads]") {
  const auto packed = gzip(std::string(1'000'000, 'x'));
  const auto with_body = [](const std::string& headers, const std::string& body) {
    return Answer{.text = cat("HTTP/1.1 200 OK\r\n", headers, "\r\n", body), .closes = true};
  };
  const std::pair<Answer, std::string> rows[] = {
      {with_body("Content-Length: 2000\r\n", std::string(2000, 'x')),
       "HTTP 200, but the body is longer than 1,000 bytes: "},
      {with_body("", std::string(2000, 'x')), "HTTP 200, but the body is longer than 1,000 bytes"},
      {with_body(cat("Content-Encoding: gzip\r\nContent-Length: ", packed.size(), "\r\n"), packed),
       "HTTP 200, but the body is longer than 1,000 bytes"},
      {with_body("Content-Length: 900\r\n", "x"),
       "HTTP 200, but the connection was closed in the middle of the answer by 127.0.0.1:"},
      {with_body("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n"),
       "HTTP 200, but the connection was closed in the middle of the answer by 127.0.0.1:"},
      {with_body("Content-Encoding: gzip\r\n", packed.substr(0, 20)),
       "HTTP 200, but the body is not the gzip that it should be, or ends early: 127.0.0.1:"},
      {with_body("Content-Encoding: br\r\n", "\x1b"),
       "HTTP 200, but the body is packed in br, which nobody asked for: 127.0.0.1:"},
  };
  for (const auto& [script, error] : rows) {
    INFO(error);
    const ScriptedServer server({script});
    const auto options = options_for(server.url());
    http::HttpClient client(options);
    const auto reply = client.send({.content_max = 1000});
    CHECK(reply.status == 0);
    CHECK(reply.content.empty());
    CHECK_THAT(reply.error, Catch::StartsWith(error));
    CHECK(reply.is_too_long == (error.find("longer") != std::string::npos));
    CHECK(client.send({.content_max = 1000}).status == 204);  // on another connection
    CHECK(server.requests().back().connection == 2);
  }
}

TEST_CASE("http: a body that does not end costs the time that it may", "[threads]") {
  for (const auto timeout : kTimeouts) {
    const ScriptedServer server(
        {{.text = "HTTP/1.1 200 x\r\n\r\n", .repeated = ".", .pause = 20ms}});
    auto options = options_for(server.url());
    options.timeout = timeout;
    http::HttpClient client(options);
    const auto reply = client.send({.content_max = 1'000'000});
    if (reply.error.starts_with("no answer") && timeout != kTimeouts.back()) continue;
    CHECK_THAT(reply.error, Catch::StartsWith(cat(
                                "HTTP 200, but the answer does not end: 127.0.0.1:", server.port(),
                                " within ")) &&
                                Catch::EndsWith("s: it or what stands before it is slow; look at "
                                                "its load, or raise timeout"));
    break;
  }
}

TEST_CASE("http: a GET follows redirects on its host only, and says where others point",
          "[threads]") {
  ScriptedServer other;
  ScriptedServer home({answer("301 x", "Location: /a\r\n"),
                       answer("302 x", cat("Location: ", other.url("/b"), "\r\n"))});
  auto options = options_for(home.url());
  options.bearer_token = "hunter2";
  http::HttpClient client(options);
  CHECK(client.send({.content_max = 10}).status == 204);
  REQUIRE(home.requests().size() == 2);
  CHECK(home.requests()[1].head.starts_with("GET /a "));
  CHECK(home.requests()[1].has("Authorization: Bearer hunter2\r\n"));
  REQUIRE(other.requests().size() == 1);  // another port of the host
  CHECK_FALSE(other.requests()[0].has("hunter2"));

  home.add(answer("302 x", "Location: http://other.invalid/c?d=e\r\n"));
  const auto elsewhere = client.send({.content_max = 10});
  CHECK(elsewhere.status == 302);
  CHECK(elsewhere.moved_to == "http://other.invalid/c");

  home.add(answer("302 x", "Location: /d\r\n"));
  options.follow_redirects = false;
  CHECK(client.send({.content_max = 10}).status == 302);
}

}  // namespace msp
