// The client against a server that answers right and wrong. TLS: tests/integration/tls_test.py.
#include "agent/http/client.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "tests/support/scripted_server.h"

namespace msp {

using namespace test;
using namespace std::chrono_literals;

constexpr std::atomic<std::int64_t> kNever = 0;
const std::string kBody("a\0body\r\n", 8);

EndpointConfig endpoint(const std::string& url) {
  static const bool once = (init_http(), true);
  EndpointConfig config;
  config.url = url;
  config.timeout = once ? 5s : 0s;
  return config;
}

HttpAnswer post(const EndpointConfig& config, const std::string& body = kBody) {
  return HttpClient(config, kNever).post(body, {"X-Ours: 1"});
}

class SecretFile {
 public:
  explicit SecretFile(const std::string& text) { write(text); }
  ~SecretFile() { std::filesystem::remove(path_); }
  void write(const std::string& text) const { std::ofstream(path_) << text; }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = cat("/tmp/msp-agent-secret-", getpid());
};

TEST_CASE("http: one connection for all requests, also after refusals", "[threads]") {
  const ScriptedServer server({answer("200 OK"), answer("503 Later"), answer("204 No Content")});
  const auto config = endpoint(server.url("/w?x=1"));
  HttpClient client(config, kNever);
  for (const int status : {200, 503, 204, 204})
    CHECK(client.post(kBody, {"X-Ours: 1"}).status == status);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 4);
  for (const auto& request : requests) {
    CHECK(request.connection == 1);
    CHECK(request.body == kBody);
    CHECK(request.head.starts_with("POST /w?x=1 HTTP/1.1\r\n"));
    CHECK(request.has("X-Ours: 1\r\n"));
    CHECK_FALSE(request.has("Expect:"));
  }
}

TEST_CASE("http: redirects that keep the method are followed, with the body and who we are",
          "[threads]") {
  const ScriptedServer server({answer("307 x", "Location: /a/b?token=t\r\n"),
                               answer("308 x", "Location: c\r\n"), answer("204 x")});
  auto config = endpoint(server.url());
  config.username = "u";
  config.password = "hunter2";
  config.headers = {{"X-Key", "k"}};
  const auto reply = post(config);
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
  auto config = endpoint(home.url());
  config.bearer_token = "hunter2";
  config.headers = {{"X-Key", "k"}};
  const auto reply = post(config);
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
    const auto reply = post(endpoint(server.url()));
    CHECK(cat(reply.status) == row.substr(0, 3));
    CHECK(reply.moved_to == (shown.starts_with('/') ? server.url(shown) : shown));
    CHECK(server.requests().size() == 1);
  }
}

TEST_CASE("http: a ring of redirects ends after five", "[threads]") {
  const ScriptedServer server(std::vector<Answer>(100, answer("307 x", "Location: /w?again\r\n")));
  const auto reply = post(endpoint(server.url()));
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
    const ScriptedServer server({script});
    auto config = endpoint(server.url());
    config.timeout = 300ms;
    const auto begin_ns = monotonic_ns();
    const auto reply = post(config);
    CHECK(monotonic_ns() - begin_ns < 1'300 * kNsPerMs);
    if (status == 307) continue;  // where it points to has no time left to answer
    CHECK(reply.status == status);
    if (status != 0) continue;
    CHECK(reply.error == cat("no answer from 127.0.0.1:", server.port(),
                             " within 300 ms: it or what stands before it is slow; look at its "
                             "load, or raise timeout"));
  }
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
    const auto config = endpoint(server.url());
    HttpClient client(config, kNever);
    const auto reply = client.post(kBody, {});
    CHECK(reply.status == status);
    CHECK(reply.body.size() == (status == 400 ? 512 : 0));
    CHECK(reply.error.empty() == (status != 0));
    CHECK(client.post(kBody, {}).status == 204);  // on another connection
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
    const auto reply = post(endpoint(server.url()));
    CHECK(reply.status == 0);
    CHECK_THAT(reply.error, Catch::Contains(words));
    if (words.starts_with("it ")) continue;  // who says so is the URL's host
    CHECK_THAT(reply.error, Catch::Contains(cat("127.0.0.1:", server.port())));
  }
  int closed_port = 0;
  { closed_port = ScriptedServer().port(); }
  CHECK(post(endpoint(cat("http://127.0.0.1:", closed_port, "/w"))).error ==
        cat("connection refused by 127.0.0.1:", closed_port,
            "; check host and port of url; where only a proxy leads out, set proxy_url"));
  CHECK(post(endpoint("http://no.such.host.invalid/w")).error ==
        "the host name does not resolve: no.such.host.invalid; correct url, or mend this host's "
        "DNS; where only a proxy leads out, set proxy_url");
}

TEST_CASE("http: praise for half a request is no success", "[threads]") {
  const ScriptedServer server({{.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                                .closes = true,
                                .reads_first = false}});
  const auto reply = post(endpoint(server.url()), std::string(50'000'000, 'x'));
  CHECK(reply.status == 0);
}

TEST_CASE("http: a proxy is used as configured and never as the environment says", "[threads]") {
  const ScriptedServer server;
  const ScriptedServer proxy;
  for (const auto* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
    setenv(name, proxy.url().c_str(), 1);
  }
  CHECK(post(endpoint(server.url())).status == 204);
  CHECK(proxy.requests().empty());
  for (const auto* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);

  auto config = endpoint("http://monitor.invalid/w");
  config.proxy_url = cat("http://me:hunter2@127.0.0.1:", proxy.port());
  setenv("no_proxy", "*", 1);
  CHECK(post(config).status == 204);
  unsetenv("no_proxy");
  REQUIRE(proxy.requests().size() == 1);
  CHECK(proxy.requests()[0].head.starts_with("POST http://monitor.invalid/w HTTP/1.1\r\n"));
  CHECK(proxy.requests()[0].has("Proxy-Authorization: Basic bWU6aHVudGVyMg==\r\n"));

  config.url = server.url();
  for (const std::string here : {"127.0.0.1", "10.0.0.0/8,127.0.0.0/8", "*"}) {
    INFO(here);
    config.no_proxy = here;
    CHECK(post(config).status == 204);
    CHECK(proxy.requests().size() == 1);
  }
  config.no_proxy = "10.0.0.0/8,example.com";
  CHECK(post(config).status == 204);
  CHECK(proxy.requests().size() == 2);

  const int closed_port = ScriptedServer().port();
  config.proxy_url = cat("http://me:hunter2@127.0.0.1:", closed_port);
  CHECK(post(config).error ==
        cat("connection refused by the proxy 127.0.0.1:", closed_port, "; check proxy_url"));
}

TEST_CASE("http: a secret's file is read for every request, and must hold one line", "[threads]") {
  const ScriptedServer server({answer("401 x"), answer("204 x")});
  const SecretFile file("first\n");
  auto config = endpoint(server.url());
  config.bearer_token_file = file.path();
  HttpClient client(config, kNever);
  CHECK(client.post(kBody, {}).status == 401);
  file.write("second\n");
  CHECK(client.post(kBody, {}).status == 204);
  CHECK(server.requests()[0].has("Authorization: Bearer first\r\n"));
  CHECK(server.requests()[1].has("Authorization: Bearer second\r\n"));
  file.write("hunter2\r\nX-Evil: 1\n");
  CHECK(client.post(kBody, {}).error ==
        "bearer_token_file " + file.path() +
            " has several lines, or control characters: it must hold the password or token in a "
            "single line of text");
  file.write("\n");
  CHECK(client.post(kBody, {}).error ==
        "bearer_token_file " + file.path() + " is empty: it must hold the password or token");
  file.write(std::string(20'000, 'x'));
  CHECK(client.post(kBody, {}).error ==
        "bearer_token_file " + file.path() +
            " is larger than 16 KiB: it must hold the password or token and nothing else");
  std::filesystem::remove(file.path());
  const auto answer = client.post(kBody, {});
  CHECK(answer.is_own_fault);
  CHECK(answer.error == "bearer_token_file " + file.path() +
                            " cannot be read: No such file or directory; make it, or correct its "
                            "path");
  CHECK(server.requests().size() == 2);
}

TEST_CASE("http: a server that repeats our secrets is not quoted with them", "[threads]") {
  const std::string echo = "dTpodW50ZXIy hunter2 tenant-key";
  const ScriptedServer server(
      {{.text = cat("HTTP/1.1 401 x\r\nContent-Length: ", echo.size(), "\r\n\r\n", echo)}});
  auto config = endpoint(server.url());
  config.username = "u";
  config.password = "hunter2";
  config.headers = {{"X-Key", "tenant-key"}};
  CHECK(post(config).body == "*** *** ***");
}

}  // namespace msp
