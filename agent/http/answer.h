// What an endpoint answered, and reading it while it arrives. An answer is bounded: of its body the
// first words are kept, and one whose headers or body go on and on is cut off.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace msp {

struct HttpAnswer {
  int status = 0;             // 0: there was no answer, and error says why
  std::string body;           // of the first kBodyMax bytes the words, on one line; empty for 2xx
  std::string error;          // "connection refused by monitor.example.com:443"
  bool is_own_fault = false;  // nothing was sent: what the request needs is not on this host
  // How long the server asks to be left alone (Retry-After), at most kRetryAfterMax; 0: it does
  // not.
  std::chrono::seconds retry_after{0};
  std::optional<std::int64_t> date_s;  // the server's clock (Date), seconds since 1970
  // A header X-Prometheus-Remote-Write-*-Written was there: the server counted what it stored.
  bool written_header = false;
  std::optional<std::uint64_t> samples_written;  // the number in the one for samples
  bool is_html = false;                          // Content-Type: a page for people
  // A redirect was followed and this URL answered; or, with a 3xx status, where the redirect that
  // was not followed points to. Without its query: it may be shown.
  std::string moved_to;

  static constexpr std::size_t kBodyMax = 512;
  static constexpr std::chrono::seconds kRetryAfterMax{600};
};

/// One answer, header line by header line. Interim answers (1xx) before it are read and forgotten.
class AnswerReader {
 public:
  /// `now_s` is the wall clock, seconds since 1970: what Retry-After is measured by where the
  /// answer has no Date.
  explicit AnswerReader(std::int64_t now_s) : now_s_(now_s) {}

  /// With its line break. False: there were more than kHeaderBytesMax of them.
  bool on_header(std::string_view line);
  /// False: there was more than kBodyBytesMax, the rest is not worth reading.
  bool on_body(std::string_view part);

  /// Whether the headers are all there: then the answer counts, whatever becomes of its body.
  bool complete() const { return complete_; }
  const std::string& location() const { return location_; }
  /// Everything but error and moved_to.
  HttpAnswer answer() const;

  static constexpr std::size_t kHeaderBytesMax = 64 * 1024;
  static constexpr std::size_t kBodyBytesMax = 64 * 1024;

 private:
  std::int64_t now_s_;
  std::size_t header_bytes_ = 0;
  std::size_t body_bytes_ = 0;
  bool complete_ = false;
  int status_ = 0;
  bool written_header_ = false;
  std::optional<std::uint64_t> samples_written_;
  bool is_html_ = false;
  std::string body_;
  std::string location_;
  std::string retry_after_;
  std::optional<std::int64_t> date_s_;
};

/// "Sun, 06 Nov 1994 08:49:37 GMT" as seconds since 1970: the one form of RFC 9110, section 5.6.7,
/// that a server may still write.
std::optional<std::int64_t> parse_http_date(std::string_view text);

/// A 400 that is about the connection and not about the samples, as web servers in front of a
/// receiver give it: what to do. Empty: it is not one.
std::string connection_refusal(const HttpAnswer& answer);

/// The words of an HTML page, each once; what is no page stays as it is.
std::string page_words(std::string_view text);

/// Without control characters, valid UTF-8.
std::string one_line(std::string text);

}  // namespace msp
