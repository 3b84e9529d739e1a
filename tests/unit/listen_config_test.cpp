#include <catch2/catch.hpp>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "tests/support/config_rows.h"

namespace msp {
namespace {

constexpr const char* kSends = "customer_id: t\nremote_write: {url: http://h/w}\n";

config::ConfigOutcome read(const std::string& yaml) {
  auto outcome = config::parse_config(yaml, "f");
  INFO(yaml);
  for (const auto& error : outcome.errors) UNSCOPED_INFO(error.to_string());
  CHECK(outcome.errors.empty());
  return outcome;
}

}  // namespace

TEST_CASE("listen: alone it is an exporter's configuration, beside remote_write a sender's") {
  const auto exporter = read("listen: {address: '127.0.0.1:9100'}\n").config;
  CHECK(exporter.endpoints.empty());
  CHECK(exporter.customer_id.empty());
  CHECK(exporter.listen.address == "127.0.0.1:9100");
  CHECK(exporter.listen.metrics);
  CHECK_FALSE(exporter.collectors.empty());
  CHECK(read(cat(kSends, "listen: {address: '[::1]:9100'}\n")).config.endpoints.size() == 1);
  CHECK(read(kSends).config.listen.address.empty());
}

TEST_CASE("listen: what is refused") {
  const auto is_refused = [](const std::string& yaml, const std::string& error) {
    const auto errors = config::parse_config(yaml, "f").errors;
    INFO(yaml);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].to_string().find(error) != std::string::npos);
  };
  is_refused("listen: {metrics: true}\n", "listen.address: found nothing; accepted: an IP address");
  is_refused("listen: {address: 'localhost:9100'}\n",
             "listen.address: found 'localhost:9100'; accepted: ");
  is_refused("listen: {address: '127.0.0.1:1', metrics: false}\n",
             "listen.metrics: found false, and nothing else");
  is_refused("listen: {address: '127.0.0.1:1'}\nscrape: {job: a, targets: [h:1]}\n",
             "scrape: found no remote_write beside it");
  is_refused("listen: {address: '127.0.0.1:1'}\nprobes: {name: a, target: 'http://h'}\n",
             "probes: found no remote_write beside it");
  is_refused("listen: {address: '127.0.0.1:1'}\nremote_write: {url: http://h/w}\n",
             "customer_id: found nothing");
  is_refused("listen: {address: '127.0.0.1:1'}\nremote_write: []\n", "remote_write: found nothing");
}

TEST_CASE("listen.receive: clients have names, and labels that win over what they say") {
  const auto config = read(cat(kSends, R"(listen:
  address: 127.0.0.1:9999
  receive: true
  metrics: false
  clients:
    - {bearer_token_file: /etc/alpha.token, labels: {server_name: b, customer_id: alpha, role: ''}}
    - {basic_auth: {username: beta, password: secret}}
    - {bearer_token: secret}
    - {name: delta, bearer_token: other-secret}
)"))
                          .config;
  const auto& clients = config.listen.clients;
  REQUIRE(clients.size() == 4);
  CHECK(clients[0].labels ==
        std::vector<metrics::Label>{{"customer_id", "alpha"}, {"role", ""}, {"server_name", "b"}});
  CHECK(clients[0].name(0) == "alpha.token");
  CHECK(clients[1].name(1) == "beta");
  CHECK(clients[2].name(2) == "client 3");
  CHECK(clients[3].name(3) == "delta");
  CHECK_FALSE(read(cat(kSends, "listen: {address: '127.0.0.1:9'}\n")).config.listen.receive);
}

TEST_CASE("listen.receive: what is refused") {
  const auto is_refused = [](const std::string& yaml, const std::string& error) {
    const auto errors = config::parse_config(yaml, "f").errors;
    INFO(yaml);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].to_string().find(error) != std::string::npos);
  };
  is_refused("listen: {address: '127.0.0.1:1', receive: true}\n", "no remote_write beside it");
  const auto with = [](const std::string& client) {
    return cat(kSends, "listen: {address: '127.0.0.1:1', receive: true, clients: [", client,
               "]}\n");
  };
  is_refused(with("{bearer_token: abcd, labels: {__name__: x}}"), "a label that is always set");
  is_refused(with("{bearer_token: abcd, labels: {'customer-id': x}}"),
             "a name that no label can have");
  is_refused(with("{name: a, bearer_token: abcd}, {name: a, bearer_token: bcde}"),
             "the name of listen.clients[0]");
}

TEST_CASE("listen: a port that others can reach is warned about") {
  CHECK(read(cat(kSends, "listen: {address: ':9', receive: true}\n"))
            .warnings.at(0)
            .find("can write samples to the centre") != std::string::npos);
  CHECK(read("listen: {address: '127.0.0.1:9100'}\n").warnings.empty());
  CHECK(read("listen: {address: 'unix:/run/a.sock'}\n").warnings.empty());
  for (const auto* address : {":9100", "0.0.0.0:9100", "[::]:9100", "192.0.2.1:9100"}) {
    const auto warnings = read(cat("listen: {address: '", address, "'}\n")).warnings;
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].starts_with(cat("f:1:9: listen.address: whoever reaches ", address)));
  }
}

}  // namespace msp
