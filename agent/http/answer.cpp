#include "agent/http/answer.h"

#include <algorithm>
#include <cctype>
#include <ctime>

#include "agent/base/text.h"

namespace msp {
namespace {

constexpr std::size_t kLocationBytesMax = 2048;
constexpr std::size_t kTagBytesMax = 8;  // of its name

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

/// Of "HTTP/1.1 204 No Content".
int status_of(std::string_view line) {
  next_word(line);
  return parse_number<std::uint16_t>(next_word(line)).value_or(0);
}

std::chrono::seconds wait_of(std::string_view retry_after, std::int64_t now_s) {
  constexpr auto kMax = static_cast<std::int64_t>(HttpAnswer::kRetryAfterMax.count());
  std::int64_t wait_s = 0;
  const bool is_number =
      !retry_after.empty() && retry_after.find_first_not_of("0123456789") == std::string_view::npos;
  if (is_number) {
    wait_s = parse_number<std::int64_t>(retry_after).value_or(kMax);
  } else if (const auto at_s = parse_http_date(retry_after)) {
    wait_s = *at_s - now_s;
  }
  return std::chrono::seconds(std::clamp<std::int64_t>(wait_s, 0, kMax));
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

bool AnswerReader::on_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kHeaderBytesMax) return false;
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    const auto bytes = header_bytes_;
    *this = AnswerReader(now_s_);
    header_bytes_ = bytes;
    status_ = status_of(line);
    return true;
  }
  if (line.empty()) {
    complete_ = status_ >= 200;
    return true;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  const auto name = lower_case(line.substr(0, colon));
  const auto value = trim(line.substr(colon + 1));
  if (name == "retry-after") {
    retry_after_ = value;
  } else if (name == "date") {
    date_s_ = parse_http_date(value);
  } else if (name == "location" && value.size() <= kLocationBytesMax) {
    location_ = value;
  } else if (name.starts_with("x-prometheus-remote-write-") && name.ends_with("-written")) {
    written_header_ = true;
    if (name == "x-prometheus-remote-write-samples-written") {
      samples_written_ = parse_number<std::uint64_t>(value);
    }
  } else if (name == "content-type") {
    const auto type = lower_case(trim(value.substr(0, value.find(';'))));
    is_html_ = type == "text/html" || type == "application/xhtml+xml";
  }
  return true;
}

bool AnswerReader::on_body(std::string_view part) {
  body_bytes_ += part.size();
  if (body_bytes_ > kBodyBytesMax) return false;
  if (status_ >= 300) body_ += part.substr(0, HttpAnswer::kBodyMax - body_.size());
  return true;
}

HttpAnswer AnswerReader::answer() const {
  HttpAnswer answer;
  answer.status = status_;
  answer.body = one_line(body_);
  answer.retry_after = wait_of(retry_after_, date_s_.value_or(now_s_));
  answer.date_s = date_s_;
  answer.written_header = written_header_;
  answer.samples_written = samples_written_;
  answer.is_html = is_html_;
  return answer;
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || text[3] != ',' || !text.ends_with(" GMT")) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t size) {
    return parse_number<std::uint16_t>(text.substr(at, size));
  };
  const auto day = number(5, 2), year = number(12, 4);
  const auto hour = number(17, 2), minute = number(20, 2), second = number(23, 2);
  const auto month = kMonths.find(text.substr(8, 3));
  if (!day || !year || !hour || !minute || !second || month == std::string_view::npos ||
      month % 3 != 0 || *year < 1970 || *day > 31 || *hour > 23 || *minute > 59 || *second > 60) {
    return std::nullopt;
  }
  tm parts{};
  parts.tm_year = *year - 1900;
  parts.tm_mon = static_cast<int>(month / 3);
  parts.tm_mday = *day;
  parts.tm_hour = *hour;
  parts.tm_min = *minute;
  parts.tm_sec = *second;
  return timegm(&parts);
}

std::string connection_refusal(const HttpAnswer& answer) {
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
  if (answer.status != 400) return {};
  for (const auto& [words, advice] : kWords) {
    if (answer.body.find(words) != std::string::npos) return std::string(advice);
  }
  return {};
}

}  // namespace msp
