#include "agent/http/transfers.h"

#include <catch2/catch.hpp>

#include <chrono>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "tests/support/fake_clock.h"
#include "tests/support/gzip.h"
#include "tests/support/scripted_server.h"

namespace msp {
namespace {

using namespace std::chrono_literals;
using test::Answer;
using test::ScriptedServer;

Answer body(const std::string& text, const std::string& headers = {}) {
  return {.text = cat("HTTP/1.1 200 OK\r\nContent-Length: ", text.size(), "\r\n", headers, "\r\n",
                      text)};
}

struct Fixture {
  std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  test::FakeClock clock;
  http::Transfers transfers{{.wakeup = wakeup, .bodies_bytes_max = 1 << 20, .clock = clock}};

  std::unique_ptr<http::Transfers::Peer> peer(const std::string& url) {
    http::HttpOptions options;
    options.url = url;
    options.timeout = 10s;
    return transfers.peer(options);
  }

  static http::HttpRequest request() {
    http::HttpRequest request;
    request.content_max = 1 << 20;
    return request;
  }

  void pass(std::chrono::nanoseconds time) {
    clock.advance(time.count());
    transfers.peer({});  // that it goes wakes the thread
  }

  http::Transfers::Outcome wait(http::Transfers::Peer& peer) {
    for (;;) {
      if (auto outcome = peer.take()) return std::move(*outcome);
      wakeup->wait(10 * kNsPerSecond);
    }
  }

  http::Transfers::Outcome get(http::Transfers::Peer& peer) {
    REQUIRE(peer.start(request()).has_value());
    return wait(peer);
  }
};

}  // namespace

TEST_CASE("transfers: answers come while another server hangs", "[threads]") {
  Fixture f;
  ScriptedServer slow({{.text = "", .repeated = "x", .pause = 60s}});
  ScriptedServer quick({body("a 1\n"), body("a 2\n")});
  const auto hanging = f.peer(slow.url());
  const auto answering = f.peer(quick.url());
  REQUIRE(hanging->start(Fixture::request()).has_value());
  CHECK(f.get(*answering).answer.content == "a 1\n");
  CHECK(f.get(*answering).answer.content == "a 2\n");
  CHECK(hanging->is_running());
  // The connection was kept.
  CHECK(quick.requests().at(1).connection == 1);
}

TEST_CASE("transfers: a request ends at its deadline", "[threads]") {
  Fixture f;
  ScriptedServer slow({{.text = "HTTP/1.1 200 OK\r\n", .repeated = "x: y\r\n", .pause = 20ms}});
  const auto peer = f.peer(slow.url());
  REQUIRE(peer->start(Fixture::request()).has_value());
  while (slow.requests().empty()) f.wakeup->wait(kNsPerMs);
  f.pass(9999ms);
  CHECK(peer->is_running());
  f.pass(1ms);
  const auto answer = f.wait(*peer).answer;
  CHECK(answer.status == 0);
  CHECK(answer.error.find("within 10 s") != std::string::npos);
}

TEST_CASE("transfers: bodies are bounded, each and together", "[threads]") {
  Fixture f;
  const std::string half(700 << 10, 'x');
  const auto packed = test::gzip(std::string(4 << 20, 'x'));
  ScriptedServer server({
      {.text = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", .repeated = half},
      {.text = "HTTP/1.1 200 OK\r\n\r\n", .repeated = half, .closes = true},
      body(packed, "Content-Encoding: gzip\r\n"),
      {.text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", .closes = true},
      body("a 1\n"),
  });
  const auto peer = f.peer(server.url());
  for (int i = 0; i < 3; ++i) {
    const auto answer = f.get(*peer).answer;
    CHECK(answer.status == 0);
    CHECK(answer.is_too_long);
  }
  CHECK(f.get(*peer).answer.status == 0);
  CHECK(f.get(*peer).answer.content == "a 1\n");
}

TEST_CASE("transfers: one answer too many for all of them fails, and no other", "[threads]") {
  Fixture f;
  const std::string most(900 << 10, 'x');
  ScriptedServer first(
      {{.text = cat("HTTP/1.1 200 OK\r\nContent-Length: ", most.size() + 1, "\r\n\r\n", most),
        .repeated = "",
        .pause = 60s}});
  ScriptedServer second({body(most), body("a 1\n")});
  const auto holding = f.peer(first.url());
  const auto other = f.peer(second.url());
  REQUIRE(holding->start(Fixture::request()).has_value());
  while (first.requests().empty()) f.wakeup->wait(kNsPerMs);
  http::Transfers::Outcome outcome;
  // What the first one has sent arrives at some time.
  const auto give_up_ns = monotonic_ns() + 120 * kNsPerSecond;
  do {
    second.add(body(most));
    outcome = f.get(*other);
  } while (outcome.answer.status != 0 && monotonic_ns() < give_up_ns);
  CHECK(outcome.answer.error.find("together are larger than 1 MiB") != std::string::npos);
  CHECK(holding->is_running());
}

TEST_CASE("transfers: redirects stay on the host, and take no credentials to another",
          "[threads]") {
  Fixture f;
  ScriptedServer other({body("b 1\n")});
  ScriptedServer server({
      test::answer("302 Found", "Location: /there\r\n"),
      body("a 1\n"),
      test::answer("302 Found", cat("Location: ", other.url("/w", "localhost"), "\r\n")),
  });
  http::HttpOptions options;
  options.url = server.url("/here");
  options.bearer_token = "s3cret-token";
  const auto peer = f.transfers.peer(options);
  CHECK(f.get(*peer).answer.content == "a 1\n");
  CHECK(server.requests().at(1).has("GET /there"));
  CHECK(server.requests().at(1).has("s3cret-token"));
  CHECK(f.get(*peer).answer.status == 302);
  CHECK(other.requests().empty());
}

TEST_CASE("transfers: unix sockets", "[threads]") {
  Fixture f;
  const auto path = cat("/tmp/msp-agent-transfers-", getpid(), ".sock");
  ScriptedServer server({body("a 1\n")}, path);
  http::HttpOptions options;
  options.url = "http://localhost/metrics";
  options.unix_socket = path;
  const auto peer = f.transfers.peer(options);
  CHECK(f.get(*peer).answer.content == "a 1\n");
  CHECK(server.requests().at(0).has("GET /metrics"));
}

TEST_CASE("transfers: a peer that goes, and a second request, give up the first", "[threads]") {
  Fixture f;
  ScriptedServer slow({{.text = "", .repeated = "x", .pause = 60s}});
  ScriptedServer quick({body("a 1\n")});
  {
    const auto gone = f.peer(slow.url());
    REQUIRE(gone->start(Fixture::request()).has_value());
  }
  const auto peer = f.peer(quick.url());
  REQUIRE(peer->start(Fixture::request()).has_value());
  REQUIRE(peer->start(Fixture::request()).has_value());
  const auto outcome = f.wait(*peer);
  CHECK((outcome.answer.status == 200 || outcome.answer.status == 204));
  CHECK_FALSE(peer->take().has_value());
}

TEST_CASE("transfers: what ends before its peers answers nothing any more", "[threads]") {
  std::unique_ptr<http::Transfers::Peer> peer;
  ScriptedServer slow({{.text = "", .repeated = "x", .pause = 60s}});
  {
    Fixture f;
    peer = f.peer(slow.url());
    REQUIRE(peer->start(Fixture::request()).has_value());
  }
  CHECK_FALSE(peer->start(Fixture::request()).has_value());
  CHECK_FALSE(peer->take().has_value());
}

TEST_CASE("transfers: a secret that cannot be read is told, and nothing is sent", "[threads]") {
  Fixture f;
  ScriptedServer server({body("a 1\n")});
  http::HttpOptions options;
  options.url = server.url();
  options.bearer_token_file = "/nonexistent/token";
  const auto peer = f.transfers.peer(options);
  const auto outcome = f.get(*peer);
  CHECK(outcome.answer.is_own_fault);
  CHECK(outcome.answer.error.starts_with("bearer_token_file /nonexistent/token cannot be read"));
  CHECK(server.requests().empty());
}

}  // namespace msp
