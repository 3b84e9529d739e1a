#include <catch2/catch.hpp>

#include <functional>
#include <string>

#include "agent/delivery/delivery.h"

namespace msp {

using namespace std::chrono_literals;

TEST_CASE("endpoint identity: customer, url, tenant, or the name that is given") {
  config::EndpointConfig a;
  a.url = "http://a/w";
  config::Config config;
  config.customer_id = "alpha";
  config.endpoints = {a};
  const auto identity = delivery::endpoint_identity(config, a);
  const auto other = [&](const std::function<void(config::EndpointConfig&)>& change) {
    auto changed = a;
    change(changed);
    return delivery::endpoint_identity(config, changed);
  };
  SECTION("another customer, url or tenant is another place") {
    auto beta = config;
    beta.customer_id = "beta";
    CHECK(delivery::endpoint_identity(beta, a) != identity);
    CHECK(other([](auto& e) { e.url = "http://b/w"; }) != identity);
    for (const auto* const header : {"X-Scope-OrgID", "AccountID", "ProjectID", "accountid"}) {
      const auto one = other([&](auto& e) { e.headers[header] = "1"; });
      const auto two = other([&](auto& e) { e.headers[header] = "2"; });
      CHECK(one != identity);
      CHECK(two != identity);
      CHECK(one != two);
      CHECK(other([&](auto& e) { e.headers[header] = "secret"; }).find("secret") ==
            std::string::npos);
    }
  }
  SECTION("how it is reached is not who it is") {
    CHECK(other([](auto& e) { e.url += "?token=secret"; }) == identity);
    CHECK(other([](auto& e) { e.headers["X-Other"] = "1"; }) == identity);
    CHECK(other([](auto& e) { e.timeout = 3s; }) == identity);
    CHECK(other([](auto& e) { e.bearer_token = "secret"; }) == identity);
    CHECK(other([](auto& e) { e.send_every = 60s; }) == identity);
    CHECK(identity.find("secret") == std::string::npos);
  }
  SECTION("with a name the url may change") {
    const auto named = other([](auto& e) { e.label = "centre"; });
    CHECK(named != identity);
    CHECK(other([](auto& e) {
            e.label = "centre";
            e.url = "http://b/w";
          }) == named);
    CHECK(other([](auto& e) { e.label = "other"; }) != named);
  }
}

}  // namespace msp
