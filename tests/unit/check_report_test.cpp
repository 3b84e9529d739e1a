// The parts of `msp-agent check` that need no server: integration/check_test.py has the rest.
#include "agent/cli/check_report.h"

#include <catch2/catch.hpp>
#include <string>

#include "agent/cli/endpoint_check.h"
#include "agent/cli/host_check.h"
#include "agent/cli/other_agents.h"

namespace msp {
namespace {

using namespace std::string_literals;

TEST_CASE("json_text escapes what JSON does not take as it is") {
  CHECK(json_text("a \"b\" \\ \n\x1f \xc3\xa4") == "\"a \\\"b\\\" \\\\ \\u000a\\u001f \xc3\xa4\"");
}

TEST_CASE("json_text gives UTF-8 whatever it gets") {
  CHECK(json_text("a\xff") == "\"a\xef\xbf\xbd\"");
}

TEST_CASE("agent_name knows the agents by the program, and none of what only looks like one") {
  CHECK(agent_name("/usr/bin/alloy\0run\0"s) == "alloy");
  CHECK(agent_name("node_exporter\0"s) == "node_exporter");
  CHECK(agent_name("/usr/bin/prometheus-node-exporter\0"s) == "node_exporter");
  CHECK(agent_name("prometheus\0--agent\0"s) == "prometheus --agent");
  CHECK(agent_name("prometheus\0--config.file=x\0"s).empty());
  CHECK(agent_name("/usr/bin/msp-agent\0--config\0/etc/msp-agent.yaml\0"s) == "msp-agent");
  CHECK(agent_name("/usr/bin/msp-agent\0check\0--json\0"s).empty());
  CHECK(agent_name("vim\0/etc/alloy\0"s).empty());
  CHECK(agent_name("").empty());
}

TEST_CASE("name_servers_of finds the name servers of a resolv.conf") {
  CHECK(name_servers_of("# nameserver 1.1.1.1\nsearch a.example\nnameserver 10.0.0.2\n"
                        "nameserver\tfe80::1\n") == "10.0.0.2, fe80::1");
  CHECK(name_servers_of("").empty());
}

TEST_CASE("the buffer has what max_size and min_free leave it") {
  const BufferConfig buffer{.path = "/b", .bytes_max = 256 << 20, .free_bytes_min = 512 << 20};
  CHECK(buffer_room(buffer, 100ull << 30, 200ull << 30) == 256u << 20);
  CHECK(buffer_room(buffer, 600u << 20, 200ull << 30) == 88u << 20);
  CHECK(buffer_room(buffer, 100u << 20, 200ull << 30) == 0);
  CHECK(buffer_room(buffer, 100u << 20, 1u << 30) == (100u << 20) - (1u << 30) / 20);
}

TEST_CASE("an outage lasts as long as the room does, or max_age") {
  Config config;
  config.buffer.age_max = std::chrono::hours(24 * 365);
  // 256 MiB at 450 samples of 1.1 bytes every 15 s.
  CHECK(about(outage_seconds(256 << 20, 450, config)) == "94 days");
  config.buffer.age_max = std::chrono::hours(24 * 7);
  CHECK(about(outage_seconds(256 << 20, 450, config)) == "7 days");
  CHECK(about(47 * 3600) == "47 hours");
  CHECK(about(60) == "1 minute");
}

EndpointAnswer accepted() {
  EndpointAnswer answered;
  answered.trace = {.reached = Reached::server,
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

EndpointConfig endpoint() {
  EndpointConfig config;
  config.url = "https://monitor.example.com/api/v1/write";
  return config;
}

const Step& step_of(const std::vector<Step>& steps, const std::string& name) {
  for (const auto& step : steps) {
    if (step.name == name) return step;
  }
  FAIL("no step " << name);
  return steps.front();
}

TEST_CASE("each step of a request has its own time") {
  const auto steps = endpoint_steps(endpoint(), accepted(), "10.0.0.2");
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

TEST_CASE("the clock to mend is the one that nothing keeps right") {
  auto answered = accepted();
  answered.wall_s = 1060;
  CHECK(endpoint_steps(endpoint(), answered, "").back().verdict == Verdict::ok);
  answered.wall_s = 939;
  answered.is_clock_kept = false;
  auto clock = endpoint_steps(endpoint(), answered, "").back();
  CHECK(clock.verdict == Verdict::warning);
  CHECK(clock.text.find("1 m 1 s behind the server's; nothing keeps this host's right") !=
        std::string::npos);
  answered.is_clock_kept = true;
  clock = endpoint_steps(endpoint(), answered, "").back();
  CHECK(clock.text.find("mend the server's") != std::string::npos);
}

TEST_CASE("a certificate has 14 days or is warned about") {
  auto answered = accepted();
  answered.trace.handshake.not_after_s = answered.wall_s + 14 * 86'400;
  CHECK(step_of(endpoint_steps(endpoint(), answered, ""), "tls").verdict == Verdict::ok);
  --answered.trace.handshake.not_after_s;
  CHECK(step_of(endpoint_steps(endpoint(), answered, ""), "tls").verdict == Verdict::warning);
}

TEST_CASE("a redirect that is not followed is named with where it points") {
  auto answered = accepted();
  answered.accepted = false;
  answered.answer.status = 302;
  answered.answer.moved_to = "https://new.example.com/api/v1/write";
  CHECK(step_of(endpoint_steps(endpoint(), answered, ""), "write").text ==
        "HTTP 302, a redirect to https://new.example.com/api/v1/write; set url to the address that "
        "the redirect points to");
}

TEST_CASE("what is refused over TLS 1.3 for a client certificate is a failure of TLS") {
  auto answered = accepted();
  answered.accepted = false;
  answered.answer = {};
  answered.answer.error = "a:443: it asks for a client certificate: set tls.cert_file and key_file";
  const auto steps = endpoint_steps(endpoint(), answered, "");
  CHECK(steps.back().name == "tls");
  CHECK(steps.back().verdict == Verdict::failed);
}

}  // namespace
}  // namespace msp
