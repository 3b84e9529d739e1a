#include "agent/config/snippet.h"

#include <catch2/catch.hpp>
#include <string>

namespace msp {
namespace {

constexpr const char* kFile = R"(customer_id: Alpha! # the password is hunter2
remote_write:
  - url: https://monitor.example.com/api?token=hunter2
    timeout: 1h
    basic_auth: {username: carol, pasword: hunter2}
    password: |
      interval: hunter2
    headers:
      X-Key: hunter2
  - url: ftp://monitor.example.com/api
collectors:
  enabled: [cpuu]
  disabled:
    - netdevv
	interval: 1s
hunter2
)";

TEST_CASE("no line is shown of a file that nobody wrote by hand") {
  const std::string blank(9'999, '\n');
  CHECK(config::excerpt(blank + "interval: 0s\n", 10'000, 11) ==
        "  10000 | interval: 0s\n        |           ^");
  CHECK(config::excerpt(blank + "\ninterval: 0s\n", 10'001, 11).empty());
  CHECK(config::excerpt("interval: 0s\n", 2, 1).empty());
}

TEST_CASE("excerpt: the line, and a caret under the column") {
  CHECK(config::excerpt(kFile, 1, 14) == "  1 | customer_id: Alpha!\n    |              ^");
  CHECK(config::excerpt(kFile, 4, 14) == "  4 |     timeout: 1h\n    |              ^");
  CHECK(config::excerpt(kFile, 12, 13) == "  12 |   enabled: [cpuu]\n     |             ^");
  CHECK(config::excerpt(kFile, 14, 7) == "  14 |     - netdevv\n     |       ^");
}

TEST_CASE("excerpt: columns count characters") {
  CHECK(config::excerpt("customer_id: \xc3\xa4\xc3\xb6 x\n", 1, 17) ==
        "  1 | customer_id: \xc3\xa4\xc3\xb6 x\n    |                 ^");
}

TEST_CASE("excerpt: what may be a secret is not shown, whatever line the error is on") {
  for (int line = 1; line <= 16; ++line) {
    for (const int column : {0, 1, 5, 40, 1000}) {
      const auto text = config::excerpt(kFile, line, column);
      INFO(text);
      CHECK(!text.empty());
      CHECK(text.find("hunter2") == std::string::npos);
    }
  }
  CHECK(config::excerpt(kFile, 5, 35) == "  5 |     basic_auth: ...\n    |                 ^");
  CHECK(config::excerpt(kFile, 16, 1) == "  16 | ...\n     | ^");
  CHECK(config::excerpt("buffer: {password: hunter2}\n", 1, 10) ==
        "  1 | buffer: ...\n    |         ^");
  CHECK(config::excerpt("password: \"abc\n  hunter2\n", 2, 3).find("hunter2") == std::string::npos);
}

TEST_CASE("excerpt: a URL without login and query is shown") {
  CHECK(config::excerpt(kFile, 10, 10).find("ftp://monitor.example.com/api") != std::string::npos);
  CHECK(config::excerpt("remote_write: \n  url: http://a:hunter2@b/\n", 2, 8).find("hunter2") ==
        std::string::npos);
}

TEST_CASE("excerpt: a line that is not there is none, a long one is cut, control characters go") {
  CHECK(config::excerpt(kFile, 0, 0).empty());
  CHECK(config::excerpt(kFile, 17, 1).empty());
  CHECK(config::excerpt("interval: " + std::string(5000, 'x'), 1, 1).size() < 250);
  CHECK(config::excerpt("interval: \x1b[31m\n", 1, 1).find('\x1b') == std::string::npos);
}

}  // namespace
}  // namespace msp
