#include "agent/http/answer.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::http {
namespace {

constexpr std::size_t kTagBytesMax = 8;  // of its name

bool is_same_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char one, unsigned char other) {
                      return std::tolower(one) == std::tolower(other);
                    });
}

std::optional<std::int64_t> date_of(std::string_view text) {
  const auto seconds = curl_getdate(std::string(text).c_str(), nullptr);
  return seconds < 0 ? std::nullopt : std::optional<std::int64_t>(seconds);
}

/// Whether a person could read it: no more than a quarter of it is not printable.
bool is_text(std::string_view text) {
  std::size_t characters = 0, unprintable = 0;
  for (; !text.empty(); ++characters) {
    const auto character = first_character(text);
    const bool is_white =
        character.code == '\n' || character.code == '\r' || character.code == '\t';
    if (!character.is_printable && !is_white) ++unprintable;
    text.remove_prefix(character.bytes);
  }
  return unprintable * 4 <= characters;
}

}  // namespace

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  make_utf8(text);
  return std::string(trim(text));
}

std::string page_words(std::string_view text) {
  if (!trim(text).starts_with('<')) return std::string(text);
  std::string words;
  while (!text.empty()) {
    const auto piece = trim(text.substr(0, text.find('<')));
    if (!piece.empty() && words.find(piece) == std::string::npos) {
      words += cat(words.empty() ? "" : words.ends_with('.') ? " " : ", ", piece);
    }
    text.remove_prefix(std::min(text.find('<'), text.size()));
    const auto tag = lower_case(text.substr(0, kTagBytesMax));
    // What is for the browser alone goes with its tag.
    if (tag.starts_with("<style") || tag.starts_with("<script")) {
      text.remove_prefix(std::min(text.find("</"), text.size()));
    }
    const auto end = text.find('>');
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return words;
}

std::string_view HttpAnswer::header(std::string_view name) const {
  for (const auto& [other, value] : headers) {
    if (is_same_ignoring_case(name, other)) return value;
  }
  return {};
}

void BodyReader::set_coding(std::string_view content_encoding) {
  const auto coding = lower_case(trim(content_encoding));
  if (coding == "gzip" || coding == "x-gzip") {
    gunzip_ = std::make_unique<Gunzip>();
  } else if (!coding.empty() && coding != "identity") {
    problem_ = Problem::unknown_coding;
  }
}

bool BodyReader::add(std::string_view part) {
  // Some servers do not say that they compress.
  const bool is_unsaid_gzip = bytes_ == 0 && !gunzip_ && problem_ == Problem::none &&
                              !wants_content() && part.starts_with("\x1f\x8b\x08");
  if (is_unsaid_gzip) gunzip_ = std::make_unique<Gunzip>();
  bytes_ += part.size();
  if (!wants_content()) {
    if (problem_ == Problem::none && content_.size() < HttpAnswer::kWordsMax) {
      keep(part, HttpAnswer::kWordsMax);
    }
    return bytes_ <= kUnwantedBytesMax;
  }
  if (bytes_ > wanted_max_) problem_ = Problem::too_long;
  if (keeps_ && problem_ == Problem::none && !keep(part, wanted_max_)) {
    problem_ = Problem::too_long;
  }
  return problem_ == Problem::none;
}

/// False: there is more than `size_max`.
bool BodyReader::keep(std::string_view part, std::size_t size_max) {
  if (!gunzip_) {
    const auto left = size_max - content_.size();
    content_ += part.substr(0, left);
    return part.size() <= left;
  }
  const auto outcome = gunzip_->unpack(part, size_max, content_);
  if (outcome == Gunzip::Outcome::damaged) problem_ = Problem::damaged;
  return outcome != Gunzip::Outcome::too_long;
}

BodyReader::Problem BodyReader::problem() const {
  const bool ends_early = gunzip_ && bytes_ > 0 && !gunzip_->is_complete();
  if (wants_content() && problem_ == Problem::none && ends_early) return Problem::damaged;
  return problem_;
}

std::string BodyReader::words() const {
  const bool is_readable =
      problem_ != Problem::unknown_coding && !(problem_ == Problem::damaged && content_.empty());
  if (!is_readable) return bytes_ > 0 ? "(a compressed body)" : "";
  if (!is_text(content_)) return "(a body that is no text)";
  return one_line(content_.substr(0, HttpAnswer::kWordsMax));
}

bool BodyReader::is_html() const {
  const auto begin = lower_case(trim(std::string_view(content_).substr(0, HttpAnswer::kWordsMax)));
  return begin.starts_with("<!doctype html") || begin.starts_with("<html");
}

bool is_html(std::string_view content_type) {
  const auto type = lower_case(trim(content_type.substr(0, content_type.find(';'))));
  return type == "text/html" || type == "application/xhtml+xml";
}

std::optional<std::int64_t> http_date(std::string_view text) {
  const auto seconds = date_of(text);
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max() / kNsPerSecond;
  return seconds && *seconds <= kMax ? seconds : std::nullopt;
}

std::chrono::seconds retry_wait(std::string_view retry_after, std::int64_t now_s) {
  constexpr auto kMax = static_cast<std::int64_t>(HttpAnswer::kRetryAfterMax.count());
  std::int64_t wait_s = 0;
  const bool is_number =
      !retry_after.empty() && retry_after.find_first_not_of("0123456789") == std::string_view::npos;
  if (is_number) {
    wait_s = parse_number<std::int64_t>(retry_after).value_or(kMax);
  } else if (const auto at_s = date_of(retry_after)) {
    wait_s = *at_s - now_s;
  }
  return std::chrono::seconds(std::clamp<std::int64_t>(wait_s, 0, kMax));
}

std::string connection_refusal(int status, std::string_view said) {
  constexpr std::string_view kSpeaksTls = "it speaks TLS there: the url must begin with https://";
  constexpr std::string_view kWords[][2] = {
      {"plain HTTP request was sent to HTTPS port", kSpeaksTls},  // nginx
      {"HTTP request to an HTTPS server", kSpeaksTls},            // Go: VictoriaMetrics, Prometheus
      {"speaking plain HTTP to an SSL-enabled server", kSpeaksTls},  // Apache
      {"No required SSL certificate was sent",                       // nginx
       "it asks for a client certificate: set tls.cert_file and tls.key_file"},
      {"The SSL certificate error",  // nginx
       "it does not accept the client certificate of tls.cert_file"},
  };
  if (status != 400) return {};
  for (const auto& [words, advice] : kWords) {
    if (said.find(words) != std::string_view::npos) return std::string(advice);
  }
  return {};
}

}  // namespace msp::http
