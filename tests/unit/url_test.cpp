#include "agent/config/url.h"

#include <catch2/catch.hpp>
#include <string>

#include "agent/http/url.h"

namespace msp {

TEST_CASE("url: what the configuration accepts the client understands") {
  const std::string hosts[] = {"a",
                               "a.b",
                               "A-1_b.example",
                               "a.",
                               "a..b",
                               "-a",
                               "1.2.3.4",
                               "1.2.3",
                               "999.1.1.1",
                               "1.2.3.4.5",
                               "0x7f.1",
                               "[::1]",
                               "[1:2]",
                               "[::ffff:1.2.3.4]",
                               "[:::::]",
                               "[12345::]",
                               "[1:2:3:4:5:6:7:8:9]",
                               "a:1",
                               "a:65535",
                               "a:080",
                               "[::1]:8428",
                               "_",
                               "."};
  int accepted = 0;
  for (const auto& host : hosts) {
    for (const std::string rest :
         {"", "/", "/api/v1/write", "/%zz", "/a?b=c&d", "?x", "#f", "//"}) {
      const auto url = "https://" + host + rest;
      if (!config::check_url(url, config::UrlUser::refused)) continue;
      INFO(url);
      ++accepted;
      CHECK(http::parse_url(url).usable);
    }
  }
  CHECK(accepted > 80);
  CHECK(config::check_url("http://me:secret@proxy:3128", config::UrlUser::accepted));
  CHECK_FALSE(config::check_url("https://[1:2]/w", config::UrlUser::refused));
}

}  // namespace msp
