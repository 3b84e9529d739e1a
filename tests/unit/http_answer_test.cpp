#include "agent/http/answer.h"

#include <catch2/catch.hpp>
#include <limits>

#include "tests/support/gzip.h"

namespace msp {

using namespace std::chrono_literals;
using test::gzip;

constexpr std::int64_t kNow = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT

TEST_CASE("an HTTP date is read, whatever the locale") {
  CHECK(http::http_date("Sun, 06 Nov 1994 08:49:37 GMT") == kNow);
  CHECK(http::http_date("Sunday, 06-Nov-94 08:49:37 GMT") == kNow);  // RFC 9110 has two more forms
  CHECK(http::http_date("Sun Nov  6 08:49:37 1994") == kNow);
  CHECK(http::http_date("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
  for (const std::string wrong :
       {"", "soon", "Sun, 06 ovD 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"}) {
    INFO(wrong);
    CHECK_FALSE(http::http_date(wrong));
  }
}

TEST_CASE("a date that is read can be compared with any clock of ours, in nanoseconds") {
  const auto last_s = http::http_date("Fri, 11 Apr 2262 23:47:16 GMT");
  REQUIRE(last_s);
  CHECK(*last_s <= std::numeric_limits<std::int64_t>::max() / 1'000'000'000);
  CHECK_FALSE(http::http_date("Fri, 11 Apr 2262 23:47:17 GMT"));
}

TEST_CASE("Retry-After in both its forms, ten minutes at most") {
  const auto wait_of = [](const std::string& value) { return http::retry_wait(value, kNow); };
  CHECK(wait_of("0") == 0s);
  CHECK(wait_of("7") == 7s);
  CHECK(wait_of("601") == 600s);
  CHECK(wait_of("99999999999999999999999999") == 600s);
  CHECK(wait_of("Sun, 06 Nov 1994 08:49:57 GMT") == 20s);
  CHECK(wait_of("Sun, 06 Nov 1994 08:49:17 GMT") == 0s);
  CHECK(wait_of("Fri, 31 Dec 9999 23:59:59 GMT") == 600s);
  for (const std::string nothing : {"", "-5", "1.5", "soon", "0x10", "5 minutes"}) {
    INFO(nothing);
    CHECK(wait_of(nothing) == 0s);
  }
}

TEST_CASE("a header is found in whatever letters, the first of its name") {
  http::HttpAnswer answer;
  answer.headers = {{"x-one", "1"}, {"X-Two", "2"}, {"X-ONE", "3"}};
  CHECK(answer.header("X-One") == "1");
  CHECK(answer.header("x-two") == "2");
  CHECK(answer.header("X-Tw").empty());
}

TEST_CASE("a page for people is known by its type") {
  CHECK(http::is_html("text/html"));
  CHECK(http::is_html("Text/HTML; charset=utf-8"));
  CHECK(http::is_html("application/xhtml+xml"));
  CHECK_FALSE(http::is_html("text/plain; version=0.0.4"));
  CHECK_FALSE(http::is_html(""));
}

TEST_CASE("a body that nobody wants leaves its first words, on one line") {
  const auto words_of = [](const std::string& body, const std::string& coding = {}) {
    http::BodyReader reader(0);
    reader.set_coding(coding);
    CHECK(reader.add(body));
    return reader.words();
  };
  CHECK(words_of("out of\r\norder\x1b[31m \xff") == "out of  order [31m \xef\xbf\xbd");
  CHECK(words_of(std::string(5000, 'a')) == std::string(512, 'a'));
  CHECK(words_of(gzip("no such\ntenant"), "gzip") == "no such tenant");
  CHECK(words_of(gzip(std::string(5000, 'a')), "x-gzip") == std::string(512, 'a'));
  CHECK(words_of("\x1b\x2c\x99", "br") == "(a compressed body)");
  CHECK(words_of("no gzip at all", "gzip") == "(a compressed body)");
  CHECK(words_of("", "br").empty());
  CHECK(words_of(gzip("a server that does not say so")) == "a server that does not say so");
  CHECK(words_of("\x28\xb5\x2f\xfd\x01\x02\x80") == "(a body that is no text)");
  CHECK(words_of("caf\xe9 ferm\xe9") == "caf\xef\xbf\xbd ferm\xef\xbf\xbd");
  CHECK(words_of("plain", "identity") == "plain");
}

TEST_CASE("a page for people is known by how it begins") {
  const auto is_page = [](const std::string& body, const std::string& coding = {}) {
    http::BodyReader reader(0);
    reader.set_coding(coding);
    CHECK(reader.add(body));
    return reader.is_html();
  };
  CHECK(is_page("\r\n <!DOCTYPE html>\n<title>Sign in</title>"));
  CHECK(is_page("<HTML lang=en>"));
  CHECK(is_page(gzip("<html>"), "gzip"));
  CHECK_FALSE(is_page("{\"status\": \"<html>\"}"));
  CHECK_FALSE(is_page(""));
}

TEST_CASE("of a body that nobody wants no more than 64 KiB are read") {
  http::BodyReader reader(0);
  std::size_t parts = 0;
  while (reader.add(std::string(1024, 'a'))) ++parts;
  CHECK(parts == 64);
}

TEST_CASE("a body that is wanted is whole and no longer than it may be, or there is a problem") {
  using Problem = http::BodyReader::Problem;
  const auto read = [](const std::string& body, const std::string& coding, std::size_t max,
                       std::size_t part_size) {
    http::BodyReader reader(max);
    reader.set_coding(coding);
    for (std::size_t at = 0; at < body.size(); at += part_size) {
      if (!reader.add(std::string_view(body).substr(at, part_size))) break;
    }
    return std::pair(reader.problem(), reader.take_content());
  };
  const std::string text = "# TYPE a gauge\na 1\n" + std::string(100'000, '\n');
  for (const std::size_t part_size : {1, 7, 16'384, 1'000'000}) {
    INFO(part_size);
    CHECK(read(text, "", text.size(), part_size) == std::pair(Problem::none, text));
    CHECK(read(gzip(text), "GZip", text.size(), part_size) == std::pair(Problem::none, text));
    CHECK(read(gzip("one ") + gzip("two"), "gzip", 100, part_size) ==
          std::pair<Problem, std::string>(Problem::none, "one two"));
    CHECK(read(text, "", text.size() - 1, part_size).first == Problem::too_long);
    CHECK(read(gzip(text), "gzip", text.size() - 1, part_size).first == Problem::too_long);
    const auto packed = gzip(text);
    CHECK(read(packed.substr(0, packed.size() - 1), "gzip", text.size(), part_size).first ==
          Problem::damaged);
    auto flipped = packed;
    flipped[packed.size() - 6] ^= 1;  // the checksum
    CHECK(read(flipped, "gzip", text.size(), part_size).first == Problem::damaged);
    CHECK(read("not gzip", "gzip", 100, part_size).first == Problem::damaged);
    CHECK(read("??", "zstd", 100, part_size).first == Problem::unknown_coding);
  }
  CHECK(read("", "gzip", 100, 1).first == Problem::none);
}

TEST_CASE("a gzip bomb costs no more than what is wanted of it") {
  const auto bomb = gzip(std::string(200'000'000, '\0'));
  http::BodyReader reader(1'000'000);
  reader.set_coding("gzip");
  CHECK_FALSE(reader.add(bomb));
  CHECK(reader.problem() == http::BodyReader::Problem::too_long);
  CHECK(reader.take_content().capacity() <= 2'000'000);
}

TEST_CASE("of a web server's page the words are kept, each once") {
  CHECK(http::page_words("<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center>"
                         "<h1>404 Not Found</h1></center>\r\n<hr><center>nginx/1.22.1</center>") ==
        "404 Not Found, nginx/1.22.1");
  CHECK(http::page_words("<p>Wrong.<br />\nLook <b>there</b></p>") == "Wrong. Look, there");
  CHECK(http::page_words("<!DOCTYPE html><style>a > b {}</style><h1>No</h1>") == "No");
  CHECK(http::page_words("<style>never ends") == "");
  CHECK(http::page_words("<title>cut") == "cut");
  CHECK(http::page_words("<") == "");
  CHECK(http::page_words("a < b") == "a < b");
  CHECK(http::page_words("") == "");
}

TEST_CASE("a 400 about the connection is told from one about the samples") {
  CHECK(http::connection_refusal(
            400, "<title>400 The plain HTTP request was sent to HTTPS port</title>") ==
        "it speaks TLS there: the url must begin with https://");
  CHECK(http::connection_refusal(400, "Client sent an HTTP request to an HTTPS server.") ==
        "it speaks TLS there: the url must begin with https://");
  CHECK(http::connection_refusal(400, "<title>400 No required SSL certificate was sent</title>") ==
        "it asks for a client certificate: set tls.cert_file and tls.key_file");
  CHECK(http::connection_refusal(400, "out of order sample").empty());
  CHECK(http::connection_refusal(500, "No required SSL certificate was sent").empty());
}

}  // namespace msp
