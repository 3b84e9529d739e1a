#include "agent/base/redact.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace msp {
namespace {

constexpr std::string_view kHidden = "***";
// RFC 4648, section 4.
constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The byte that the %XX at the front of `text` stands for.
std::optional<char> percent_decoded(std::string_view text) {
  if (text.size() < 3 || text[0] != '%') return std::nullopt;
  const int high = hex_digit(text[1]), low = hex_digit(text[2]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

/// The value of a digit of base64 in either alphabet; negative: it is none.
int base64_digit(char c) {
  if (c == '-') return 62;
  if (c == '_') return 63;
  const auto digit = kDigits.find(c);
  return digit == std::string_view::npos ? -1 : static_cast<int>(digit);
}

std::string base64_decoded(std::string_view digits) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : digits) {
    bits = bits << 6 | static_cast<std::uint32_t>(base64_digit(c));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  return bytes;
}

/// Digits of base64 that stand one after the other in a text, some of them perhaps percent-encoded.
struct Base64Run {
  std::string digits;
  std::size_t end;  // in the text
};

Base64Run base64_run(std::string_view text, std::size_t begin) {
  Base64Run run{{}, begin};
  while (run.end < text.size()) {
    const auto encoded = percent_decoded(text.substr(run.end));
    const char c = encoded.value_or(text[run.end]);
    if (base64_digit(c) < 0) break;
    run.digits += c;
    run.end += encoded ? 3 : 1;
  }
  return run;
}

/// What a reference or an escape at the front of a text stands for.
struct Escape {
  std::size_t bytes;
  unsigned code;
};

/// The number in `digits` and what ends it, as in "27;".
std::optional<Escape> numeric(std::string_view digits, int base, std::size_t digits_max) {
  unsigned code = 0;
  std::size_t count = 0;
  for (; count < std::min(digits.size(), digits_max); ++count) {
    const int digit = hex_digit(digits[count]);
    if (digit < 0 || digit >= base) break;
    code = code * static_cast<unsigned>(base) + static_cast<unsigned>(digit);
  }
  return count == 0 ? std::nullopt : std::optional(Escape{count, code});
}

std::optional<Escape> html_reference(std::string_view text) {
  constexpr std::pair<std::string_view, char> kNamed[] = {
      {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
  for (const auto& [name, c] : kNamed) {
    if (text.starts_with(name)) return Escape{name.size(), static_cast<unsigned char>(c)};
  }
  if (!text.starts_with("&#")) return std::nullopt;
  const bool is_hex = text.size() > 2 && (text[2] == 'x' || text[2] == 'X');
  const std::size_t begin = is_hex ? 3 : 2;
  const auto number = numeric(text.substr(begin), is_hex ? 16 : 10, 4);
  if (!number || !text.substr(begin + number->bytes).starts_with(';')) return std::nullopt;
  return Escape{begin + number->bytes + 1, number->code};
}

std::optional<Escape> json_escape(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  if (text[1] != 'u') return Escape{2, static_cast<unsigned char>(text[1])};
  const auto number = numeric(text.substr(2), 16, 4);
  if (!number || number->bytes != 4) return std::nullopt;
  return Escape{6, number->code};
}

std::optional<Escape> escape_at(std::string_view text) {
  switch (text[0]) {
    case '%':
      if (const auto byte = percent_decoded(text)) {
        return Escape{3, static_cast<unsigned char>(*byte)};
      }
      return std::nullopt;
    case '+':  // of a form
      return Escape{1, ' '};
    case '&':
      return html_reference(text);
    case '\\':
      return json_escape(text);
    default:
      return std::nullopt;
  }
}

/// "%2526": what was encoded was encoded again.
std::optional<Escape> twice_encoded(std::string_view text) {
  if (percent_decoded(text) != '%' || text.size() < 5) return std::nullopt;
  const int high = hex_digit(text[3]), low = hex_digit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return Escape{5, static_cast<unsigned>(high * 16 + low)};
}

constexpr std::size_t kEscapeBytesMax = 7;  // "&#x27a;"

bool is_escape_begin(char c) {
  return c == '%' || c == '&' || c == '\\';
}

/// How far a text goes along with a secret.
struct Match {
  std::size_t bytes = 0;  // of the text
  bool is_whole = false;
  std::size_t cut_after = 0;  // bytes of the secret that stand where the text ends; 0: elsewhere
};

/// Each byte of `secret` may stand in `text`, whose front is compared, as itself or escaped.
Match match(std::string_view text, std::string_view secret) {
  std::vector<std::size_t> ends = {0};  // of what is compared: more than one where it is ambiguous
  std::vector<std::size_t> next;
  std::size_t cut_after = 0;
  for (std::size_t i = 0; i < secret.size(); ++i) {
    next.clear();
    for (const auto end : ends) {
      const auto rest = text.substr(end);
      if (rest.empty()) {
        cut_after = i;
        continue;
      }
      if (rest[0] == secret[i]) next.push_back(end + 1);
      const auto escape = escape_at(rest);
      if (!escape && rest.size() < kEscapeBytesMax && is_escape_begin(rest[0])) cut_after = i;
      for (const auto& other : {escape, twice_encoded(rest)}) {
        if (other && other->code == static_cast<unsigned char>(secret[i])) {
          next.push_back(end + other->bytes);
        }
      }
    }
    if (next.empty()) return {.bytes = text.size(), .is_whole = false, .cut_after = cut_after};
    std::sort(next.begin(), next.end());
    next.erase(std::unique(next.begin(), next.end()), next.end());
    ends.swap(next);
  }
  return {.bytes = ends.back(), .is_whole = true};
}

/// Writes kHidden over what stands between "://" and '@' in each URL.
void hide_logins(std::string& text) {
  constexpr std::string_view kSeparator = "://";
  for (auto at = text.find(kSeparator); at != std::string::npos; at = text.find(kSeparator, at)) {
    at += kSeparator.size();
    const auto end = std::min(text.find_first_of("/?# \t\r\n\"'<>", at), text.size());
    const auto sign = std::string_view(text).substr(0, end).rfind('@');
    if (sign == std::string_view::npos || sign < at) continue;
    text.replace(at, sign - at, kHidden);
  }
}

}  // namespace

Redactor::Form::~Form() {
  explicit_bzero(text.data(), text.capacity());
}

void Redactor::add(std::string_view secret) {
  if (secret.size() < kSecretBytesMin) return;
  form(secret.size()).text = secret;
  auto& decoded = form(secret.size());
  for (auto rest = secret; !rest.empty();) {
    const auto byte = percent_decoded(rest);
    decoded.text += byte.value_or(rest[0]);
    rest.remove_prefix(byte ? 3 : 1);
  }
  if (decoded.text.size() < kSecretBytesMin || decoded.text == secret) forms_.pop_back();
  // A secret that begins with another one is hidden whole.
  forms_.sort([](const Form& a, const Form& b) { return a.text.size() > b.text.size(); });
}

void Redactor::add_url(std::string_view url) {
  const auto scheme_end = url.find("://");
  const auto begin = scheme_end == std::string_view::npos ? 0 : scheme_end + 3;
  const auto authority = url.substr(begin, url.substr(begin).find_first_of("/?#"));
  if (const auto sign = authority.rfind('@'); sign != std::string_view::npos) {
    const auto login = authority.substr(0, sign);
    add(login.substr(std::min(login.find(':') + 1, login.size())));  // without ':' all of it
  }
  const auto query_at = url.find_first_of("?#");
  if (query_at == std::string_view::npos) return;
  for (auto rest = url.substr(query_at + 1); !rest.empty();) {
    const auto part = rest.substr(0, rest.find_first_of("&;#"));
    const auto equals = part.find('=');
    add(equals == std::string_view::npos ? part : part.substr(equals + 1));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
}

void Redactor::add_basic_login(std::string_view base64) {
  auto login = base64_decoded(base64_run(base64, 0).digits);
  if (const auto colon = login.find(':'); colon != std::string::npos) {
    add(std::string_view(login).substr(colon + 1));
  }
  explicit_bzero(login.data(), login.size());
}

/// Where a secret begins in `text`, from `begin` on.
std::optional<Redactor::Place> Redactor::find(std::string_view text, const Form& form,
                                              std::size_t begin, bool may_be_cut) {
  const std::string_view secret = form.text;
  for (auto at = begin; at < text.size(); ++at) {
    if (text[at] != secret[0] && text[at] != '+' && !is_escape_begin(text[at])) continue;
    const auto found = match(text.substr(at), secret);
    const bool is_cut = may_be_cut && found.cut_after >= kSecretBytesMin;
    if (found.is_whole || is_cut) return Place{at, at + found.bytes};
  }
  return std::nullopt;
}

/// Whether a secret stands in what `digits` encode, wherever the groups of four begin.
bool Redactor::is_in_base64(std::string_view digits, bool may_be_cut) const {
  for (std::size_t skipped = 0; skipped < std::min<std::size_t>(4, digits.size()); ++skipped) {
    const auto bytes = base64_decoded(digits.substr(skipped));
    for (const auto& form : forms_) {
      if (find(bytes, form, 0, may_be_cut)) return true;
    }
  }
  return false;
}

void Redactor::hide_base64(std::string& text, bool may_be_cut) const {
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    auto [digits, end] = base64_run(text, begin);
    if (end == begin) continue;
    if (is_in_base64(digits, may_be_cut && end == text.size())) {
      while (end < text.size() && text[end] == '=') ++end;
      text.replace(begin, end - begin, kHidden);
      end = begin + kHidden.size();
    }
    begin = end - 1;
  }
}

void Redactor::hide(std::string& text, bool may_be_cut) const {
  for (const auto& form : forms_) {
    std::size_t begin = 0;
    while (const auto place = find(text, form, begin, may_be_cut)) {
      text.replace(place->begin, place->end - place->begin, kHidden);
      begin = place->begin + kHidden.size();
    }
  }
  if (!forms_.empty()) hide_base64(text, may_be_cut);
  hide_logins(text);
}

void Redactor::hide(std::string& text) const {
  hide(text, false);
}

void Redactor::hide_cut(std::string& text) const {
  hide(text, true);
}

namespace {

struct KnownSecrets {
  std::mutex mutex;
  std::shared_ptr<const Redactor> now = std::make_shared<const Redactor>();
  std::shared_ptr<const Redactor> before = now;
};

KnownSecrets& known_secrets() {
  static KnownSecrets known;
  return known;
}

}  // namespace

void set_secrets(Redactor secrets) {
  auto& known = known_secrets();
  const std::lock_guard lock(known.mutex);
  known.before = std::exchange(known.now, std::make_shared<const Redactor>(std::move(secrets)));
}

std::string redact(std::string_view text) {
  auto& known = known_secrets();
  std::shared_ptr<const Redactor> now, before;
  {
    const std::lock_guard lock(known.mutex);
    now = known.now;
    before = known.before;
  }
  std::string redacted(text);
  now->hide(redacted);
  if (before != now) before->hide(redacted);
  return redacted;
}

}  // namespace msp
