#include "agent/listen/client_login.h"

#include <catch2/catch.hpp>

#include "agent/base/text.h"
#include "tests/support/http_fixture.h"

namespace msp {
namespace {

listen::HttpRequestHead with_login(std::string line) {
  listen::HttpRequestHead head;
  if (!line.empty()) head.fields.push_back({"authorization", std::move(line)});
  return head;
}

std::optional<listen::HttpReply> refuse(listen::ClientLogin& login, const std::string& line,
                                        std::size_t* client = nullptr) {
  auto head = with_login(line);
  auto refused = login.refuse(head);
  if (client != nullptr) *client = head.client;
  return refused;
}

}  // namespace

TEST_CASE("login: only what a client must bring is let in") {
  const test::SecretFile file("of-a-file\n");
  http::HttpOptions user, token, in_file;
  user.username = "alpha";
  user.password = "of:user";
  token.bearer_token = "of-a-client";
  in_file.bearer_token_file = file.path();
  listen::ClientLogin login({user, token, in_file});
  for (const auto* good :
       {"Basic YWxwaGE6b2Y6dXNlcg==", "basic YWxwaGE6b2Y6dXNlcg==", "BASIC  YWxwaGE6b2Y6dXNlcg==",
        "Bearer of-a-client", "bearer of-a-client", "Bearer of-a-file"}) {
    INFO(good);
    CHECK_FALSE(refuse(login, good));
  }
  for (const auto* bad :
       {"", "Basic", "Bearer", "Bearer ", "of-a-client", "Bearer of-a-clien", "Bearer of-a-clientx",
        "Bearer of-a-client of-a-client", "Bearer OF-A-CLIENT", "Basic of-a-client",
        "Digest of-a-client", "Bearer YWxwaGE6b2Y6dXNlcg==", "Basic YWxwaGE6b2Y6dXNlcg",
        "Basic YWxwaGE6", "Basic b2Y6dXNlcjphbHBoYQ=="}) {
    INFO(bad);
    const auto refused = refuse(login, bad);
    REQUIRE(refused);
    CHECK(refused->status == 401);
    CHECK(refused->closes);
    CHECK(refused->fields.at(0).starts_with("WWW-Authenticate: Basic "));
  }
  std::size_t client = 9;
  CHECK_FALSE(refuse(login, "Basic YWxwaGE6b2Y6dXNlcg==", &client));
  CHECK(client == 0);
  CHECK_FALSE(refuse(login, "Bearer of-a-file", &client));
  CHECK(client == 2);
  file.write("of-another-day\n");
  CHECK(refuse(login, "Bearer of-a-file"));
  CHECK_FALSE(refuse(login, "Bearer of-another-day"));
}

TEST_CASE("login: a file that cannot be read, or is empty, lets nobody in") {
  const test::SecretFile file("");
  http::HttpOptions empty, missing;
  empty.bearer_token_file = file.path();
  missing.bearer_token_file = "/nonexistent/token";
  listen::ClientLogin login({empty, missing});
  for (const auto* line : {"", "Bearer", "Bearer ", "Bearer x"}) CHECK(refuse(login, line));
  CHECK(refuse(login, "Bearer x")->fields.at(0) == "WWW-Authenticate: Bearer");
  listen::ClientLogin everybody({});
  CHECK_FALSE(refuse(everybody, ""));
}

TEST_CASE("login: two secrets are the same, or not") {
  CHECK(listen::is_same_secret("abc", "abc"));
  for (const auto* other : {"", "ab", "abd", "abcabc", "xbc", "ABC"}) {
    CHECK_FALSE(listen::is_same_secret(other, "abc"));
    CHECK_FALSE(listen::is_same_secret("abc", other));
  }
  CHECK_FALSE(listen::is_same_secret("", ""));  // an empty one is none
}

}  // namespace msp
