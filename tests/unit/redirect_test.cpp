#include "agent/http/redirect.h"

#include <catch2/catch.hpp>

namespace msp {

const http::Origin kPlain{false, "h", "80"};
const http::Origin kTls{true, "h", "443"};

TEST_CASE("redirects: which are followed") {
  const http::Origin elsewhere{true, "other", "443"};
  for (const int status : {307, 308}) {
    INFO(status);
    CHECK(http::follows("POST", status, kPlain, kPlain));
    CHECK(http::follows("POST", status, kPlain, kTls));
    CHECK(http::follows("POST", status, kTls, elsewhere));
    CHECK_FALSE(http::follows("POST", status, kTls, kPlain));
  }
  for (const int status : {301, 302}) {
    INFO(status);
    CHECK(http::follows("POST", status, kPlain, kTls));
    CHECK(http::follows("POST", status, {false, "h", "8080"}, {true, "h", "8443"}));
    CHECK_FALSE(http::follows("POST", status, kPlain, kPlain));
    CHECK_FALSE(http::follows("POST", status, kTls, kTls));
    CHECK_FALSE(http::follows("POST", status, kPlain, elsewhere));
    CHECK_FALSE(http::follows("POST", status, kTls, kPlain));
  }
  for (const int status : {300, 303, 304, 305, 306, 309, 200}) {
    INFO(status);
    CHECK_FALSE(http::follows("POST", status, kPlain, kTls));
  }
}

TEST_CASE("redirects: a GET stays on its host") {
  for (const std::string method : {"GET", "HEAD"}) {
    for (const int status : {301, 302, 303, 307, 308}) {
      INFO(method << " " << status);
      CHECK(http::follows(method, status, kPlain, kPlain));
      CHECK(http::follows(method, status, kPlain, kTls));
      CHECK(http::follows(method, status, kPlain, {false, "h", "8080"}));
      CHECK_FALSE(http::follows(method, status, kPlain, {false, "other", "80"}));
      CHECK_FALSE(http::follows(method, status, kTls, {true, "other", "443"}));
      CHECK_FALSE(http::follows(method, status, kTls, kPlain));
    }
    for (const int status : {200, 300, 304, 305, 306, 309, 404}) {
      INFO(method << " " << status);
      CHECK_FALSE(http::follows(method, status, kPlain, kPlain));
    }
  }
}

TEST_CASE("redirects: who learns who the agent is") {
  CHECK(http::is_same_server(kPlain, kPlain));
  CHECK(http::is_same_server(kTls, kTls));
  CHECK(http::is_same_server(kPlain, kTls));
  CHECK_FALSE(http::is_same_server(kTls, kPlain));
  CHECK_FALSE(http::is_same_server(kTls, {true, "h", "8443"}));
  CHECK_FALSE(http::is_same_server(kPlain, {true, "h", "8443"}));
  CHECK_FALSE(http::is_same_server({false, "h", "8080"}, {true, "h", "443"}));
  CHECK_FALSE(http::is_same_server(kTls, {true, "h.example", "443"}));
  CHECK_FALSE(http::is_same_server(kPlain, {true, "other", "443"}));
}

}  // namespace msp
