// What a server answered, and reading its body while it arrives. An answer is bounded: in its
// headers, and in its body by what the request says that it wants of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/http/gunzip.h"

namespace msp::http {

struct HttpAnswer {
  int status = 0;  // 0: there was no whole answer, and error says why
  // The body, unpacked: all of it, where the request wanted it.
  std::string content;
  // The words of the body's first kWordsMax bytes, for people: on one line, valid UTF-8, without
  // our secrets; empty for 2xx.
  std::string words;
  std::string error;          // "connection refused by monitor.example.com:443"
  bool is_own_fault = false;  // nothing was sent: what the request needs is not on this host
  bool is_html = false;       // a page for people, by its Content-Type or by how it begins
  bool is_too_long = false;   // the body is longer than the request wants it
  std::vector<std::pair<std::string, std::string>> headers;
  // How long the server asks to be left alone (Retry-After), at most kRetryAfterMax; 0: it does
  // not.
  std::chrono::seconds retry_after{0};
  std::optional<std::int64_t> date_s;  // the server's clock (Date), seconds since 1970
  // A redirect was followed and this URL answered; or, with a 3xx status, where the redirect that
  // was not followed points to. It may be shown: without its query, and without our secrets.
  std::string moved_to;

  static constexpr std::size_t kWordsMax = 512;
  static constexpr std::chrono::seconds kRetryAfterMax{600};

  /// The value of the first header of that name, in whatever letters; empty: there is none.
  std::string_view header(std::string_view name) const;
};

/// A body while it arrives, unpacked where it is gzip.
class BodyReader {
 public:
  enum class Problem {
    none,
    too_long,
    damaged,         // it is not the gzip that it should be, or ends early
    unknown_coding,  // of Content-Encoding
  };

  /// `wanted_max` is how long it may be, packed and unpacked; 0: only its first words are wanted.
  /// What is not kept is counted.
  explicit BodyReader(std::size_t wanted_max, bool keeps = true)
      : wanted_max_(wanted_max), keeps_(keeps) {}

  /// Before add(), once the headers are there: Content-Encoding, empty where there is none.
  void set_coding(std::string_view content_encoding);

  /// False: the rest is not worth reading.
  bool add(std::string_view part);

  /// After the last part: why what was wanted of it is not there.
  Problem problem() const;
  /// "(a compressed body)", "(a body that is no text)" where that is all that can be said.
  std::string words() const;
  /// Whether it begins as a page for people does.
  bool is_html() const;
  std::string take_content() { return std::move(content_); }
  /// Of what is kept, unpacked.
  std::size_t size() const { return content_.size(); }
  /// As they arrived.
  std::size_t bytes() const { return bytes_; }

  // Of a body of which nothing but words is wanted; more of it is not worth the time.
  static constexpr std::size_t kUnwantedBytesMax = 64 * 1024;

 private:
  bool wants_content() const { return wanted_max_ > 0; }
  bool keep(std::string_view part, std::size_t size_max);

  std::size_t wanted_max_;
  bool keeps_;
  std::size_t bytes_ = 0;  // as they arrived
  std::string content_;    // or the begin of it
  std::unique_ptr<Gunzip> gunzip_;
  Problem problem_ = Problem::none;
};

/// Whether that Content-Type is a page for people.
bool is_html(std::string_view content_type);

/// What Date and its like say, seconds since 1970; nothing where that is no date, or one that no
/// clock of ours can hold.
std::optional<std::int64_t> http_date(std::string_view text);

/// The wait that a Retry-After asks for, in both its forms; `now_s` is what a date there is
/// measured by.
std::chrono::seconds retry_wait(std::string_view retry_after, std::int64_t now_s);

/// A 400 that is about the connection and not about what was sent, as web servers in front of
/// others give it: what to do. Empty: it is not one.
std::string connection_refusal(int status, std::string_view words);

/// The words of an HTML page, each once; what is no page stays as it is.
std::string page_words(std::string_view text);

/// Without control characters, valid UTF-8.
std::string one_line(std::string text);

}  // namespace msp::http
