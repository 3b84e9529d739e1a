// What a probe says of servers that answer, hang, break off, or speak something else.
#include <catch2/catch.hpp>

#include <chrono>
#include <map>

#include "agent/base/regex.h"
#include "agent/base/text.h"
#include "agent/sources/probe/http_probe.h"
#include "agent/sources/probe/tcp_probe.h"
#include "tests/support/fake_clock.h"
#include "tests/support/scripted_server.h"

namespace msp {
namespace {

using namespace std::chrono_literals;
using test::Answer;
using test::ScriptedServer;

using Values = std::map<std::string, double>;

struct Fixture {
  std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  test::FakeClock clock;
  http::Transfers transfers{{.wakeup = wakeup, .clock = clock}};
  sources::SourceHealth health;

  /// `hanging` has the request when the time of the probe is over; null: the server answers.
  Values probe(sources::Probe& source, const ScriptedServer* hanging = nullptr) {
    const metrics::Tick tick{1, 0};
    source.begin(tick);
    if (hanging != nullptr) {
      while (hanging->requests().empty()) wakeup->wait(kNsPerMs);
      clock.advance(10 * kNsPerSecond);
      transfers.peer({});  // that it goes wakes the thread
    }
    while (source.wait_ns() > 0) wakeup->wait(kNsPerSecond);
    const auto scrape = source.finish(tick);
    health = source.health();
    Values values;
    for (std::size_t i = 0; i < scrape.values.size(); ++i) {
      values[std::string((*scrape.series)[i]->desc->name)] = scrape.values[i];
    }
    return values;
  }

  Values http(const ScriptedServer& server, sources::HttpProbe::Setup setup = {},
              bool hangs = false) {
    http::HttpOptions options;
    options.url = server.url("/");
    options.timeout = 10s;
    sources::HttpProbe source(sources::SourceOptions{.name = "p", .labels = {}}, options,
                              std::move(setup), transfers, clock);
    return probe(source, hangs ? &server : nullptr);
  }
};

Answer body(const std::string& text) {
  return {.text = cat("HTTP/1.1 200 OK\r\nContent-Length: ", text.size(), "\r\n\r\n", text)};
}

Filter matching(const char* expression) {
  return *make_filter(expression, PatternUse::include);
}

}  // namespace

TEST_CASE("probe: an answer that is as it should be", "[threads]") {
  Fixture f;
  ScriptedServer server({body("hello"), body("hello")});
  for (int connection = 1; connection <= 2; ++connection) {
    const auto values = f.http(server, {.required = {matching("^hel")}});
    CHECK(values.at("up") == 1);
    CHECK(values.at("probe_success") == 1);
    CHECK(values.at("probe_http_status_code") == 200);
    CHECK(values.at("probe_http_content_length") == 5);
    CHECK(values.at("probe_http_uncompressed_body_length") == 5);
    CHECK(values.at("probe_ip_protocol") == 4);
    CHECK(f.health.is_up);
    // A connection of its own.
    CHECK(server.requests().back().connection == connection);
    CHECK_FALSE(server.requests().back().has("Accept-Encoding"));
  }
}

TEST_CASE("probe: a server that fails it in each way is up", "[threads]") {
  struct Row {
    Answer answer;
    sources::HttpProbe::Setup setup;
    double status;
    std::string reason;
    bool hangs = false;
  };
  const std::vector<Row> rows = {
      {{.text = "", .repeated = "x", .pause = 60s}, {}, 0, "no answer from ", true},
      {{.text = "", .closes = true}, {}, 0, "the connection was closed without an answer"},
      {{.text = "220 mail ESMTP\r\n", .closes = true}, {}, 0, ""},
      {test::answer("503 Busy"), {}, 503, "HTTP 503"},
      {{.text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", .closes = true},
       {},
       200,
       "HTTP 200, but the connection was closed"},
      {{.text = "HTTP/1.1 200 OK\r\n\r\n", .repeated = std::string(1 << 16, 'x'), .closes = true},
       {.body_bytes_max = 1 << 20},
       200,
       "HTTP 200, but the body is longer than"},
      {body("hello"), {.forbidden = {matching("ell")}}, 200, "the body matches an expression"},
      {body("hello"), {.fails_if_not_ssl = true}, 200, "the answer did not come over TLS"},
  };
  Fixture f;
  for (const auto& row : rows) {
    INFO(row.reason);
    ScriptedServer server({row.answer});
    const auto values = f.http(server, row.setup, row.hangs);
    CHECK(values.at("up") == 1);
    CHECK(values.at("probe_success") == 0);
    CHECK(values.at("probe_http_status_code") == row.status);
    CHECK_FALSE(f.health.is_up);
    CHECK(f.health.error.starts_with(row.reason));
    CHECK(f.health.error.find(';') == std::string::npos);
  }
}

TEST_CASE("probe: what the agent lacks is told, and nothing said of the server", "[threads]") {
  Fixture f;
  http::HttpOptions options;
  options.url = "http://127.0.0.1:1/";
  options.bearer_token_file = "/nonexistent/token";
  sources::HttpProbe source(sources::SourceOptions{.name = "p", .labels = {}}, options, {},
                            f.transfers, f.clock);
  const auto values = f.probe(source);
  CHECK(values.at("up") == 0);
  CHECK_FALSE(values.contains("probe_success"));
  CHECK(f.health.error.find("/nonexistent/token") != std::string::npos);
}

TEST_CASE("probe: a redirect is followed to any host, and who the agent is stays", "[threads]") {
  Fixture f;
  ScriptedServer other({body("there")});
  ScriptedServer server(
      {test::answer("302 Found", cat("Location: ", other.url("/", "localhost"), "\r\n"))});
  http::HttpOptions options;
  options.url = server.url("/");
  options.headers = {{"X-Key", "secret"}};
  sources::HttpProbe source(sources::SourceOptions{.name = "p", .labels = {}}, options,
                            {.preferred_ip = http::IpFamily::ip4}, f.transfers, f.clock);
  const auto values = f.probe(source);
  CHECK(values.at("probe_success") == 1);
  CHECK(values.at("probe_http_redirects") == 1);
  CHECK(server.requests().at(0).has("X-Key: secret"));
  CHECK_FALSE(other.requests().at(0).has("X-Key"));
}

TEST_CASE("probe: a port that takes connections, and one that does not", "[threads]") {
  Fixture f;
  ScriptedServer server;
  for (const bool is_open : {true, false}) {
    http::HttpOptions options;
    options.url = is_open ? server.url("") : "http://127.0.0.1:1";
    // The address is no ip6 one: the other family is taken.
    sources::TcpProbe source(sources::SourceOptions{.name = "p", .labels = {}}, options,
                             {.preferred_ip = http::IpFamily::ip6}, f.transfers, f.clock);
    const auto values = f.probe(source);
    CHECK(values.at("up") == 1);
    INFO(f.health.error);
    CHECK(values.at("probe_success") == (is_open ? 1 : 0));
    CHECK(values.at("probe_failed_due_to_regex") == 0);
    CHECK(values.at("probe_ip_protocol") == 4);
  }
  CHECK(server.requests().empty());
}

}  // namespace msp
