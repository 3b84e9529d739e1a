#include "agent/http/answer.h"

#include <catch2/catch.hpp>

namespace msp {

using namespace std::chrono_literals;

constexpr std::int64_t kNow = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT

HttpAnswer read(const std::vector<std::string>& lines, const std::string& body = {}) {
  AnswerReader reader(kNow);
  for (const auto& line : lines) CHECK(reader.on_header(line + "\r\n"));
  CHECK(reader.on_header("\r\n"));
  CHECK(reader.complete());
  CHECK(reader.on_body(body));
  return reader.answer();
}

std::chrono::seconds wait_of(const std::string& value, const std::string& date = {}) {
  std::vector<std::string> lines = {"HTTP/1.1 503 x", "Retry-After: " + value};
  if (!date.empty()) lines.push_back("Date: " + date);
  return read(lines).retry_after;
}

TEST_CASE("an HTTP date is read, whatever the locale") {
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == kNow);
  CHECK(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
  CHECK(parse_http_date("Thu, 29 Feb 2024 23:59:60 GMT") == 1'709'251'200);
  for (const std::string wrong :
       {"", "soon", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 ovD 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT."}) {
    INFO(wrong);
    CHECK_FALSE(parse_http_date(wrong));
  }
}

TEST_CASE("Retry-After in both its forms, ten minutes at most") {
  CHECK(wait_of("0") == 0s);
  CHECK(wait_of("7") == 7s);
  CHECK(wait_of("601") == 600s);
  CHECK(wait_of("99999999999999999999999999") == 600s);
  CHECK(wait_of("Sun, 06 Nov 1994 08:49:57 GMT") == 20s);
  CHECK(wait_of("Sun, 06 Nov 1994 08:49:17 GMT") == 0s);
  CHECK(wait_of("Fri, 31 Dec 9999 23:59:59 GMT") == 600s);
  // By the server's clock, where it says what that is.
  CHECK(wait_of("Sun, 06 Nov 1994 09:49:57 GMT", "Sun, 06 Nov 1994 09:49:37 GMT") == 20s);
  for (const std::string nothing : {"", "-5", "1.5", "soon", "0x10", "5 minutes"}) {
    INFO(nothing);
    CHECK(wait_of(nothing) == 0s);
  }
}

TEST_CASE("an answer's headers are read, those of interim answers are not") {
  const auto answer = read({"HTTP/1.1 100 Continue", "Retry-After: 5", "", "HTTP/1.1 200 OK",
                            "x-prometheus-remote-write-SAMPLES-written: 0"});
  CHECK(answer.status == 200);
  CHECK(answer.retry_after == 0s);
  CHECK(answer.written_header);
  CHECK_FALSE(
      read({"HTTP/1.1 204 No Content", "X-Prometheus-Remote-Write-Version: 2.0.0"}).written_header);

  CHECK(answer.samples_written == 0);
  CHECK(
      read({"HTTP/1.1 200 OK", "X-Prometheus-Remote-Write-Samples-Written: 240"}).samples_written ==
      240);
  for (const std::string number : {"-1", "many", "", "99999999999999999999999"}) {
    const auto odd =
        read({"HTTP/1.1 200 OK", "X-Prometheus-Remote-Write-Samples-Written: " + number});
    CHECK(odd.written_header);
    CHECK_FALSE(odd.samples_written);
  }
  CHECK(read({"HTTP/1.1 200 OK", "content-type: Text/HTML; charset=utf-8"}).is_html);
  CHECK(read({"HTTP/1.1 200 OK", "Content-Type: application/xhtml+xml"}).is_html);
  CHECK_FALSE(read({"HTTP/1.1 200 OK", "Content-Type: text/plain"}).is_html);
  CHECK_FALSE(read({"HTTP/1.1 100 x", "Content-Type: text/html", "", "HTTP/1.1 204 x"}).is_html);

  AnswerReader interim(kNow);
  for (const std::string line : {"HTTP/1.1 103 Early Hints\r\n", "\r\n"}) interim.on_header(line);
  CHECK_FALSE(interim.complete());
}

TEST_CASE("of a body the first words are kept, on one line; of a success none") {
  CHECK(read({"HTTP/1.1 400 x"}, "out of\r\norder\x1b[31m \xff").body ==
        "out of  order [31m \xef\xbf\xbd");
  CHECK(read({"HTTP/1.1 400 x"}, std::string(5000, 'a')).body == std::string(512, 'a'));
  CHECK(read({"HTTP/1.1 200 x"}, "thank you").body.empty());
}

TEST_CASE("headers and bodies that go on and on are cut off") {
  AnswerReader reader(kNow);
  std::size_t lines = 0;
  while (reader.on_header("X-A: " + std::string(1000, 'a') + "\r\n")) ++lines;
  CHECK(lines <= 65);
  AnswerReader interim(kNow);
  lines = 0;
  while (interim.on_header("HTTP/1.1 100 Continue\r\n") && interim.on_header("\r\n")) ++lines;
  CHECK(lines <= 65'536 / 25);
  std::size_t parts = 0;
  while (reader.on_body(std::string(1024, 'a'))) ++parts;
  CHECK(parts == 64);
}

TEST_CASE("of a web server's page the words are kept, each once") {
  CHECK(page_words("<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center>"
                   "<h1>404 Not Found</h1></center>\r\n<hr><center>nginx/1.22.1</center>") ==
        "404 Not Found, nginx/1.22.1");
  CHECK(page_words("<p>Wrong.<br />\nLook <b>there</b></p>") == "Wrong. Look, there");
  CHECK(page_words("<!DOCTYPE html><style>a > b {}</style><h1>No</h1>") == "No");
  CHECK(page_words("<style>never ends") == "");
  CHECK(page_words("<title>cut") == "cut");
  CHECK(page_words("<") == "");
  CHECK(page_words("a < b") == "a < b");
  CHECK(page_words("") == "");
}

TEST_CASE("a 400 about the connection is told from one about the samples") {
  const auto refusal = [](int status, const std::string& body) {
    HttpAnswer answer;
    answer.status = status;
    answer.body = body;
    return connection_refusal(answer);
  };
  CHECK(refusal(400, "<title>400 The plain HTTP request was sent to HTTPS port</title>") ==
        "it speaks TLS there: the url must begin with https://");
  CHECK(refusal(400, "Client sent an HTTP request to an HTTPS server.") ==
        "it speaks TLS there: the url must begin with https://");
  CHECK(refusal(400, "<title>400 No required SSL certificate was sent</title>") ==
        "it asks for a client certificate: set tls.cert_file and tls.key_file");
  CHECK(refusal(400, "out of order sample").empty());
  CHECK(refusal(500, "No required SSL certificate was sent").empty());
}

}  // namespace msp
