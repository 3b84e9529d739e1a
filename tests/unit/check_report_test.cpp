// The parts of `msp-agent check` that need no server: integration/check_test.py has the rest.
#include "agent/cli/check_report.h"

#include <catch2/catch.hpp>
#include <string>

#include "agent/cli/endpoint_check.h"
#include "agent/cli/other_agents.h"

namespace msp {
namespace {

using namespace std::string_literals;

TEST_CASE("agent_name knows the agents by the program, and none of what only looks like one") {
  CHECK(cli::agent_name("/usr/bin/alloy\0run\0"s) == "alloy");
  CHECK(cli::agent_name("node_exporter\0"s) == "node_exporter");
  CHECK(cli::agent_name("/usr/bin/prometheus-node-exporter\0"s) == "node_exporter");
  CHECK(cli::agent_name("prometheus\0--agent\0"s) == "prometheus --agent");
  CHECK(cli::agent_name("prometheus\0--config.file=x\0"s).empty());
  CHECK(cli::agent_name("/usr/bin/msp-agent\0--config\0/etc/msp-agent.yaml\0"s) == "msp-agent");
  CHECK(cli::agent_name("/usr/bin/msp-agent\0check\0--json\0"s).empty());
  CHECK(cli::agent_name("vim\0/etc/alloy\0"s).empty());
  CHECK(cli::agent_name("").empty());
}

TEST_CASE("name_servers_of finds the name servers of a resolv.conf") {
  CHECK(cli::name_servers_of("# nameserver 1.1.1.1\nsearch a.example\nnameserver 10.0.0.2\n"
                             "nameserver\tfe80::1\n") == "10.0.0.2, fe80::1");
  CHECK(cli::name_servers_of("").empty());
}

cli::EndpointAnswer accepted() {
  cli::EndpointAnswer answered;
  answered.trace = {.reached = http::Reached::server,
                    .resolved_us = 100,
                    .connected_us = 300,
                    .tls_begun_us = 310,
                    .tls_us = 900,
                    .total_us = 2000,
                    .addresses = {"[2001:db8::7]:443", "192.0.2.7:443"}};
  answered.trace.handshake = {1, "TLSv1.3", "CN = monitor", "CN = authority", 10 * 86'400};
  answered.answer.status = 204;
  answered.answer.date_s = 1000;
  answered.accepted = true;
  answered.protocol = "prometheus-1.0";
  answered.wall_s = 1000;
  return answered;
}

config::EndpointConfig endpoint() {
  config::EndpointConfig config;
  config.url = "https://monitor.example.com/api/v1/write";
  return config;
}

const cli::Step& step_of(const std::vector<cli::Step>& steps, const std::string& name) {
  for (const auto& step : steps) {
    if (step.name == name) return step;
  }
  FAIL("no step " << name);
  return steps.front();
}

TEST_CASE("each step of a request has its own time") {
  const auto steps = cli::endpoint_steps(endpoint(), accepted(), "10.0.0.2");
  REQUIRE(steps.size() == 5);
  CHECK(step_of(steps, "dns").took_us == 100);
  CHECK(step_of(steps, "tcp").took_us == 200);
  CHECK(step_of(steps, "tls").took_us == 590);
  CHECK(step_of(steps, "write").took_us == 1100);
  CHECK(step_of(steps, "dns").text ==
        "monitor.example.com is [2001:db8::7], 192.0.2.7 (name servers of /etc/resolv.conf: "
        "10.0.0.2)");
  CHECK(step_of(steps, "tcp").text == "connected to 192.0.2.7:443");
}

TEST_CASE("the clock to correct is the one that is not synchronized") {
  auto answered = accepted();
  answered.answer.date_s = 1'800'000'000;
  answered.wall_s = 1'800'000'060;
  CHECK(cli::endpoint_steps(endpoint(), answered, "").back().verdict == cli::Verdict::ok);
  answered.wall_s = 1'799'999'939;
  answered.is_clock_kept = false;
  auto clock = cli::endpoint_steps(endpoint(), answered, "").back();
  CHECK(clock.verdict == cli::Verdict::warning);
  CHECK(clock.text.find("1 m 1 s behind the server's; this host's is not synchronized") !=
        std::string::npos);
  answered.is_clock_kept = true;
  clock = cli::endpoint_steps(endpoint(), answered, "").back();
  CHECK(clock.text.find("correct the server's") != std::string::npos);
}

TEST_CASE("a 2xx with an HTML page is a warning") {
  auto answered = accepted();
  answered.answer.is_html = true;
  const auto steps = cli::endpoint_steps(endpoint(), answered, "");
  CHECK(step_of(steps, "write").verdict == cli::Verdict::warning);
  CHECK(step_of(steps, "write").text.find("is an HTML page") != std::string::npos);
}

TEST_CASE("a redirect that is not followed is told with where it leads") {
  auto answered = accepted();
  answered.accepted = false;
  answered.answer.status = 302;
  answered.answer.moved_to = "https://other.example.com/write";
  const auto steps = cli::endpoint_steps(endpoint(), answered, "");
  CHECK(step_of(steps, "write").text ==
        "HTTP 302, a redirect to https://other.example.com/write; set url to the address that the "
        "redirect "
        "points to");
}

TEST_CASE("what is refused with 400 may be the login, which is named") {
  auto answered = accepted();
  answered.accepted = false;
  answered.answer.status = 400;
  auto config = endpoint();
  config.username = "carol";
  config.password = "hunter2";
  const auto text = step_of(cli::endpoint_steps(config, answered, ""), "write").text;
  CHECK(text.ends_with("; the login was: basic_auth as carol"));
  CHECK(step_of(cli::endpoint_steps(endpoint(), answered, ""), "write")
            .text.ends_with("; the login was: none"));
  answered.answer.status = 422;
  CHECK(step_of(cli::endpoint_steps(config, answered, ""), "write").text.find("carol") ==
        std::string::npos);
}

TEST_CASE("a certificate has 14 days or is warned about") {
  auto answered = accepted();
  answered.trace.handshake.not_after_s = answered.wall_s + 14 * 86'400;
  CHECK(step_of(cli::endpoint_steps(endpoint(), answered, ""), "tls").verdict == cli::Verdict::ok);
  --answered.trace.handshake.not_after_s;
  CHECK(step_of(cli::endpoint_steps(endpoint(), answered, ""), "tls").verdict ==
        cli::Verdict::warning);
}

TEST_CASE("a redirect that is not followed is named with where it points") {
  auto answered = accepted();
  answered.accepted = false;
  answered.answer.status = 302;
  answered.answer.moved_to = "https://new.example.com/api/v1/write";
  CHECK(step_of(cli::endpoint_steps(endpoint(), answered, ""), "write").text ==
        "HTTP 302, a redirect to https://new.example.com/api/v1/write; set url to the address that "
        "the redirect points to");
}

TEST_CASE("what is refused over TLS 1.3 for a client certificate is a failure of TLS") {
  auto answered = accepted();
  answered.accepted = false;
  answered.answer = {};
  answered.answer.error = "a:443: it asks for a client certificate: set tls.cert_file and key_file";
  const auto steps = cli::endpoint_steps(endpoint(), answered, "");
  CHECK(steps.back().name == "tls");
  CHECK(steps.back().verdict == cli::Verdict::failed);
}

}  // namespace
}  // namespace msp
