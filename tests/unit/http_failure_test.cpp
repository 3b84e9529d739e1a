// What the client says when it goes wrong, and what it does not say.
#include "agent/http/client.h"

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "tests/support/gzip.h"
#include "tests/support/http_fixture.h"
#include "tests/support/scripted_server.h"

namespace msp {

using namespace test;

TEST_CASE("http: a Unix socket in place of a host, and never a proxy", "[threads]") {
  const auto path = cat("/tmp/msp-agent-test-", getpid(), ".sock");
  auto options = options_for("http://localhost/metrics");
  options.unix_socket = path;
  options.proxy_url = "http://127.0.0.1:9";
  {
    const ScriptedServer server({}, path);
    http::HttpTrace trace;
    CHECK(http::HttpClient(options).send({.content_max = 10}, &trace).status == 204);
    CHECK(trace.proxy.empty());
    REQUIRE(server.requests().size() == 1);
    CHECK(server.requests()[0].head.starts_with("GET /metrics HTTP/1.1\r\nHost: localhost\r\n"));
  }
  CHECK(http::HttpClient(options).send({}).error ==
        cat("No such file or directory: the socket ", path,
            "; check its path, and whether the server runs"));
}

TEST_CASE("http: what keeps this host from making a connection is told", "[threads]") {
  const ScriptedServer server;
  const auto options = options_for(server.url());
  const auto named = options_for(server.url("/w", "localhost"));
  http::HttpClient client(options), by_name(named);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const auto free_fd = static_cast<rlim_t>(Fd(dup(0)).get());
  rlimit none{free_fd, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto error = post(client).error;
  const auto error_by_name = post(by_name).error;
  setrlimit(RLIMIT_NOFILE, &before);
  const auto why =
      cat("all ", free_fd,
          " files that the agent may open are open; raise LimitNOFILE in the unit of the service");
  CHECK(error == cat("no connection to 127.0.0.1:", server.port(), ": ", why));
  CHECK(error_by_name == cat("no connection to localhost:", server.port(), ": ", why));
  CHECK(post(client).status == 204);
}

TEST_CASE("http: whatever a server sends is bounded", "[threads]") {
  constexpr std::uint64_t k100Mb = 100'000;
  const std::string kilobyte(1000, 'x');
  const std::pair<Answer, int> rows[] = {
      {{.text = "HTTP/1.1 200 x\r\n", .repeated = "X-A: " + kilobyte + "\r\n", .repeats = k100Mb},
       0},
      {{.text = "HTTP/1.1 200 x\r\nX-A: ", .repeated = kilobyte, .repeats = k100Mb}, 0},
      {{.text = {}, .repeated = "HTTP/1.1 100 Continue\r\n\r\n", .repeats = k100Mb}, 0},
      {{.text = "HTTP/1.1 200 x\r\nContent-Length: 100000000\r\n\r\n",
        .repeated = kilobyte,
        .repeats = k100Mb},
       200},
      {{.text = "HTTP/1.1 400 x\r\n\r\n", .repeated = kilobyte, .repeats = k100Mb}, 400},
  };
  for (const auto& [script, status] : rows) {
    INFO(script.text);
    const ScriptedServer server({script});
    const auto options = options_for(server.url());
    http::HttpClient client(options);
    const auto reply = post(client);
    CHECK(reply.status == status);
    if (status == 0) {
      const std::string what = script.text.ends_with(": ") ? "a header line" : "the headers";
      CHECK_THAT(reply.error, Catch::Contains(cat(what, " of the answer do")) &&
                                  Catch::Contains(cat("127.0.0.1:", server.port())));
    }
    CHECK(reply.words.size() == (status == 400 ? 512 : 0));
    CHECK(reply.error.empty() == (status != 0));
    CHECK(post(client).status == 204);  // on another connection
    CHECK(server.requests().back().connection == 2);
  }
}

TEST_CASE("http: what is no answer is told with the server's name", "[threads]") {
  const std::pair<Answer, std::string> rows[] = {
      {{.text = "SSH-2.0-OpenSSH_9.2\r\n", .closes = true}, "does not answer in HTTP"},
      {{.text = "\x15\x03\x01\x00\x02\x02\x16", .closes = true}, "must begin with https://"},
      {{.text = {}, .closes = true}, "the connection was closed without an answer by"},
      {{.text = "HTTP/1.1 400 x\r\nContent-Length: 47\r\n\r\n"
                "Client sent an HTTP request to an HTTPS server."},
       "it speaks TLS there: the url must begin with https://"},
  };
  for (const auto& [script, words] : rows) {
    INFO(words);
    const ScriptedServer server({script});
    const auto reply = post(options_for(server.url()));
    CHECK(reply.status == 0);
    CHECK_THAT(reply.error, Catch::Contains(words));
    if (words.starts_with("it ")) continue;  // who says so is the URL's host
    CHECK_THAT(reply.error, Catch::Contains(cat("127.0.0.1:", server.port())));
  }
  const ClosedPort closed;
  CHECK(post(options_for(cat("http://127.0.0.1:", closed.number(), "/w"))).error ==
        cat("connection refused by 127.0.0.1:", closed.number(),
            "; check host and port of url; where only a proxy leads out, set proxy_url"));
  CHECK(post(options_for("http://no.such.host.invalid/w")).error ==
        "the host name does not resolve: no.such.host.invalid; correct url, or fix this host's "
        "DNS; where only a proxy leads out, set proxy_url");
}

TEST_CASE("http: a server that repeats our secrets is not quoted with them", "[threads]") {
  const std::string echo =
      "dTpodW50ZXIy hunter2 tenant-key s3cr3t/t?ken s3cr3t%2ft%3fken proxy-password "
      "bWU6cHJveHktcGFzc3dvcmQ=";
  const ScriptedServer proxy(
      {{.text = cat("HTTP/1.1 401 x\r\nContent-Length: ", echo.size(), "\r\n\r\n", echo)},
       {.text = cat("HTTP/1.1 401 x\r\nContent-Encoding: gzip\r\nContent-Length: ",
                    gzip(echo).size(), "\r\n\r\n", gzip(echo))}});
  auto options = options_for("http://monitor.invalid/w?token=s3cr3t%2ft%3fken");
  options.proxy_url = cat("http://me:proxy-password@127.0.0.1:", proxy.port());
  options.username = "u";
  const SecretFile file("hunter2\n");
  options.password_file = file.path();
  options.headers = {{"X-Key", "tenant-key"}};
  http::HttpClient client(options);
  CHECK(post(client).words == "*** *** *** *** *** *** ***");
  CHECK(post(client).words == "*** *** *** *** *** *** ***");
}

TEST_CASE("http: where a redirect points is told without our secrets", "[threads]") {
  const ScriptedServer server({answer("302 x", "Location: /login/plain\r\n"),
                               answer("302 x", "Location: /login/hunter2/x\r\n"),
                               answer("302 x", "Location: /login/hunt%65r2?hunter2\r\n"),
                               answer("307 x", "Location: http://127.0.0.1:1/hunter2\r\n")});
  auto options = options_for(server.url());
  options.bearer_token = "hunter2";
  http::HttpClient client(options);
  CHECK(post(client).moved_to == server.url("/login/plain"));
  CHECK(post(client).moved_to == server.url("/***"));
  CHECK(post(client).moved_to == server.url("/***"));
  CHECK_THAT(post(client).error,
             Catch::StartsWith("redirected to http://127.0.0.1:1/***: connection refused"));
}

}  // namespace msp
