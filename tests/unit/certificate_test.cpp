// The words of failures, as libcurl hands OpenSSL's on.
#include "agent/http/tls/certificate.h"

#include <catch2/catch.hpp>

namespace msp {
namespace {

TEST_CASE("a reason that OpenSSL gave as a number is put into words") {
  CHECK(http::with_reason("OpenSSL: error:0A00010B:lib(20)::reason(267)") ==
        "OpenSSL: error:0A00010B:SSL routines::wrong version number");
  CHECK(http::with_reason("bad (error:0480006C:lib(9)::reason(108), (no key found?))") ==
        "bad (error:0480006C:PEM routines::no start line, (no key found?))");
}

TEST_CASE("words that have no such number stay as they are") {
  for (const auto* words :
       {"", "error:", "::reason(", "::reason(1)", "error:0A00010B:lib(20)", "connection refused",
        "error:0A00010B:SSL routines::wrong version number"}) {
    CHECK(http::with_reason(words) == words);
  }
}

}  // namespace
}  // namespace msp
