// The client against a server that answers right and wrong. TLS: tests/integration/tls_test.py.
#include "agent/http/client.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "tests/support/http_fixture.h"
#include "tests/support/scripted_server.h"

namespace msp {

using namespace test;
using namespace std::chrono_literals;

TEST_CASE("http: one connection for all requests while all goes well", "[threads]") {
  const ScriptedServer server({answer("200 OK"), answer("202 x"), answer("204 No Content")});
  const auto options = options_for(server.url("/w?x=1"));
  http::HttpClient client(options);
  for (const int status : {200, 202, 204, 204}) CHECK(post(client).status == status);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 4);
  for (const auto& request : requests) {
    CHECK(request.connection == 1);
    CHECK(request.body == kBody);
    CHECK(request.head.starts_with("POST /w?x=1 HTTP/1.1\r\n"));
    CHECK(request.has("X-Ours: 1\r\n"));
    CHECK_FALSE(request.has("Expect:"));
    CHECK_FALSE(request.has("Accept"));
  }
}

TEST_CASE("http: after an answer that is not 2xx the next request makes a connection of its own",
          "[threads]") {
  const ScriptedServer server({answer("204 x"), answer("503 x"), answer("404 x"), answer("400 x"),
                               answer("302 x"), answer("204 x"), answer("204 x")});
  const auto options = options_for(server.url());
  http::HttpClient client(options);
  for (int i = 0; i < 7; ++i) post(client);
  std::string connections;
  for (const auto& request : server.requests()) connections += cat(request.connection, " ");
  CHECK(connections == "1 1 2 3 4 5 5 ");
}

TEST_CASE("http: a request ends when the time of a stop is over", "[threads]") {
  const ScriptedServer server({{.text = "HTTP/1.1 204 x\r\nX: ", .repeated = "y", .pause = 20ms}});
  const auto options = options_for(server.url());
  StopSource stop;
  http::HttpClient client(options, stop.token());
  stop.request_stop(monotonic_ns() + 200 * kNsPerMs);
  CHECK(post(client).error == "given up because the agent stops");
}

TEST_CASE("http: redirects that keep the method are followed, with the body and who we are",
          "[threads]") {
  const ScriptedServer server({answer("307 x", "Location: /a/b?token=t\r\n"),
                               answer("308 x", "Location: c\r\n"), answer("204 x")});
  auto options = options_for(server.url());
  options.username = "u";
  options.password = "hunter2";
  options.headers = {{"X-Key", "k"}};
  const auto reply = post(options);
  CHECK(reply.status == 204);
  CHECK(reply.moved_to == server.url("/a/c"));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[1].head.starts_with("POST /a/b?token=t HTTP/1.1\r\n"));
  for (const auto& request : requests) {
    CHECK(request.connection == 1);
    CHECK(request.body == kBody);
    CHECK(request.has("Authorization: Basic dTpodW50ZXIy\r\n"));
    CHECK(request.has("X-Key: k\r\n"));
  }
}

TEST_CASE("http: another host or port does not learn who we are, nor whomever it sends us to",
          "[threads]") {
  ScriptedServer home;
  const ScriptedServer other({answer("307 x", "Location: " + home.url("/back") + "\r\n")});
  home.add(answer("307 x", "Location: " + other.url() + "\r\n"));
  auto options = options_for(home.url());
  options.bearer_token = "hunter2";
  options.headers = {{"X-Key", "k"}};
  const auto reply = post(options);
  CHECK(reply.status == 204);
  CHECK(reply.moved_to == home.url("/back"));
  REQUIRE(home.requests().size() == 2);
  REQUIRE(other.requests().size() == 1);
  CHECK(home.requests()[0].has("Authorization: Bearer hunter2\r\n"));
  CHECK(home.requests()[0].has("X-Key: k\r\n"));
  for (const auto& request : {other.requests()[0], home.requests()[1]}) {
    CHECK(request.has("X-Ours: 1\r\n"));
    CHECK_FALSE(request.has("X-Key"));
    CHECK_FALSE(request.has("Authorization"));
    CHECK(request.body == kBody);
  }
}

TEST_CASE("http: other redirects are answers that say where they point", "[threads]") {
  const std::string to = "http://other.test:81/w";
  const std::pair<std::string, std::string> rows[] = {
      {"301 x|" + to, to},
      {"302 x|" + to + "?secret=1#f", to},
      {"303 x|/w2", "/w2"},
      {"307 x|http://me:hunter2@other.test:81/w", to},
      {"308 x|ftp://other.test/w", "ftp://other.test/w"},
      {"307 x|http://[", ""},
      {"307 x|" + std::string(5000, 'a'), ""},
      {"304 x|", ""},
  };
  for (const auto& [row, shown] : rows) {
    INFO(row);
    const auto bar = row.find('|');
    const ScriptedServer server(
        {answer(row.substr(0, bar), "Location: " + row.substr(bar + 1) + "\r\n")});
    const auto reply = post(options_for(server.url()));
    CHECK(cat(reply.status) == row.substr(0, 3));
    CHECK(reply.moved_to == (shown.starts_with('/') ? server.url(shown) : shown));
    CHECK(server.requests().size() == 1);
  }
}

TEST_CASE("http: a ring of redirects ends after five", "[threads]") {
  const ScriptedServer server(std::vector<Answer>(100, answer("307 x", "Location: /w?again\r\n")));
  const auto reply = post(options_for(server.url()));
  CHECK(reply.status == 307);
  CHECK(reply.moved_to == server.url());
  CHECK(server.requests().size() == 6);
}

TEST_CASE("http: whatever a server does ends within the time-out, redirects and all", "[threads]") {
  const auto slow = [](const std::string& text, const std::string& repeated) {
    return Answer{.text = text, .repeated = repeated, .pause = 20ms};
  };
  const std::pair<Answer, int> rows[] = {
      {slow("HTTP/1.1 ", "2"), 0},
      {slow("HTTP/1.1 204 x\r\nX: ", "y"), 0},
      {slow("HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n.\r\n"), 503},
      {slow("HTTP/1.1 200 x\r\nContent-Length: 9999\r\n\r\n", "."), 200},
      {slow("HTTP/1.1 307 x\r\nLocation: /2\r\nContent-Length: 9999\r\n\r\n", "."), 307},
  };
  for (const auto& [script, status] : rows) {
    INFO(script.text);
    for (const auto timeout : kTimeouts) {
      const ScriptedServer server({script});
      auto options = options_for(server.url());
      options.timeout = timeout;
      const auto reply = post(options);
      if (status == 307) break;  // where it points to has no time left to answer
      if (reply.status != status && timeout != kTimeouts.back())
        continue;  // the head came too late
      CHECK(reply.status == status);
      if (status == 0) {
        CHECK(reply.error == cat("no answer from 127.0.0.1:", server.port(),
                                 " within 300 ms: it or what stands before it is slow; look at "
                                 "its load, or raise timeout"));
      }
      break;
    }
  }
}

TEST_CASE("http: praise for half a request is no success", "[threads]") {
  const ScriptedServer server({{.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                                .closes = true,
                                .reads_first = false}});
  const auto reply = post(options_for(server.url()), std::string(50'000'000, 'x'));
  CHECK(reply.status == 0);
}

TEST_CASE("http: a proxy is used as configured and never as the environment says", "[threads]") {
  const ScriptedServer server;
  const ScriptedServer proxy;
  for (const auto* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
    setenv(name, proxy.url().c_str(), 1);
  }
  CHECK(post(options_for(server.url())).status == 204);
  CHECK(proxy.requests().empty());
  for (const auto* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);

  auto options = options_for("http://monitor.invalid/w");
  options.proxy_url = cat("http://me:hunter2@127.0.0.1:", proxy.port());
  setenv("no_proxy", "*", 1);
  CHECK(post(options).status == 204);
  unsetenv("no_proxy");
  REQUIRE(proxy.requests().size() == 1);
  CHECK(proxy.requests()[0].head.starts_with("POST http://monitor.invalid/w HTTP/1.1\r\n"));
  CHECK(proxy.requests()[0].has("Proxy-Authorization: Basic bWU6aHVudGVyMg==\r\n"));

  options.url = server.url();
  for (const std::string here : {"127.0.0.1", "10.0.0.0/8,127.0.0.0/8", "*"}) {
    INFO(here);
    options.no_proxy = here;
    CHECK(post(options).status == 204);
    CHECK(proxy.requests().size() == 1);
  }
  options.no_proxy = "10.0.0.0/8,example.com";
  CHECK(post(options).status == 204);
  CHECK(proxy.requests().size() == 2);

  const ClosedPort closed;
  options.proxy_url = cat("http://me:hunter2@127.0.0.1:", closed.number());
  CHECK(post(options).error ==
        cat("connection refused by the proxy 127.0.0.1:", closed.number(), "; check proxy_url"));
}

TEST_CASE("http: a secret's file is read for every request, and must hold one line", "[threads]") {
  const ScriptedServer server({answer("401 x"), answer("204 x")});
  const SecretFile file("first\n");
  auto options = options_for(server.url());
  options.bearer_token_file = file.path();
  http::HttpClient client(options);
  CHECK(post(client).status == 401);
  file.write("second\n");
  CHECK(post(client).status == 204);
  CHECK(server.requests()[0].has("Authorization: Bearer first\r\n"));
  CHECK(server.requests()[1].has("Authorization: Bearer second\r\n"));
  file.write("hunter2\r\nX-Evil: 1\n");
  CHECK(post(client).error ==
        "bearer_token_file " + file.path() +
            " has several lines, or control characters: it must hold the password or token in a "
            "single line of text");
  file.write("\n");
  CHECK(post(client).error ==
        "bearer_token_file " + file.path() + " is empty: it must hold the password or token");
  file.write(std::string(20'000, 'x'));
  CHECK(post(client).error ==
        "bearer_token_file " + file.path() +
            " is larger than 16 KiB: it must hold the password or token and nothing else");
  std::filesystem::remove(file.path());
  const auto answer = post(client);
  CHECK(answer.is_own_fault);
  CHECK(answer.error == "bearer_token_file " + file.path() +
                            " cannot be read: No such file or directory; make it, or correct its "
                            "path");
  CHECK(server.requests().size() == 2);
}

}  // namespace msp
