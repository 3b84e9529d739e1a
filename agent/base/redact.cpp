#include "agent/base/redact.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace msp {
namespace {

constexpr std::string_view kHidden = "***";
// RFC 4648, section 4.
constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool is_base64(char c) {
  return kDigits.find(c) != std::string_view::npos || c == '-' || c == '_' || c == '=';
}

/// RFC 3986, section 2.3.
bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~").find(c) != std::string_view::npos;
}

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

/// What stands for `c` in HTML or in a JSON string; empty: itself.
std::string_view escape_of(char c, bool for_html) {
  switch (c) {
    case '"':
      return for_html ? "&quot;" : "\\\"";
    case '\\':
      return for_html ? "" : "\\\\";
    case '&':
      return for_html ? "&amp;" : "";
    case '<':
      return for_html ? "&lt;" : "";
    case '>':
      return for_html ? "&gt;" : "";
    case '\'':
      return for_html ? "&#39;" : "";
    default:
      return "";
  }
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

Redactor::Form& Redactor::form(std::size_t capacity) {
  return forms_.emplace_back(capacity);
}

/// A form that is too short, or says no more than `secret` itself.
void Redactor::drop_last_if_useless(std::string_view secret) {
  const auto& text = forms_.back().text;
  if (text.size() < kSecretBytesMin || text == secret) forms_.pop_back();
}

void Redactor::add_with_forms(std::string_view secret) {
  form(secret.size()).text = secret;
  add_forms(secret);
  if (secret.find('%') == std::string_view::npos) return;
  auto& decoded = form(secret.size());
  for (auto rest = secret; !rest.empty();) {
    const auto byte = percent_decoded(rest);
    decoded.text += byte.value_or(rest[0]);
    rest.remove_prefix(byte ? 3 : 1);
  }
  if (decoded.text.size() < kSecretBytesMin || decoded.text == secret) {
    forms_.pop_back();
  } else {
    add_forms(decoded.text);
  }
}

void Redactor::add(std::string_view secret) {
  if (secret.size() < kSecretBytesMin) return;
  add_with_forms(secret);
  // A secret that begins with another one is hidden whole.
  forms_.sort([](const Form& a, const Form& b) { return a.text.size() > b.text.size(); });
}

void Redactor::add_forms(std::string_view secret) {
  for (const std::string_view hex : {"0123456789ABCDEF", "0123456789abcdef"}) {
    add_percent_encoded(secret, hex);
    drop_last_if_useless(secret);
  }
  for (const bool for_html : {true, false}) {
    add_escaped(secret, for_html);
    drop_last_if_useless(secret);
  }
  for (std::size_t bytes_before = 0; bytes_before < 3; ++bytes_before) {
    add_base64(secret, bytes_before);
  }
}

void Redactor::add_percent_encoded(std::string_view secret, std::string_view hex) {
  auto& out = form(secret.size() * 3).text;
  for (const char c : secret) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    for (const char part : {'%', hex[byte >> 4], hex[byte & 0xf]}) out += part;
  }
}

void Redactor::add_escaped(std::string_view secret, bool for_html) {
  constexpr std::size_t kEscapeBytesMax = 6;
  auto& out = form(secret.size() * kEscapeBytesMax).text;
  for (const char c : secret) {
    const auto escape = escape_of(c, for_html);
    escape.empty() ? out += c : out += escape;
  }
}

/// The digits that `secret` alone decides, where `bytes_before` bytes (modulo 3) come before it.
void Redactor::add_base64(std::string_view secret, std::size_t bytes_before) {
  const auto bit_begin = bytes_before * 8;
  const auto bit_end = bit_begin + secret.size() * 8;
  const auto capacity = secret.size() * 8 / 6 + 1;
  auto& out = form(capacity);
  out.is_base64 = true;
  for (auto digit = (bit_begin + 5) / 6; (digit + 1) * 6 <= bit_end; ++digit) {
    unsigned value = 0;
    for (auto bit = digit * 6 - bit_begin; bit < digit * 6 + 6 - bit_begin; ++bit) {
      const auto byte = static_cast<unsigned char>(secret[bit / 8]);
      value = value << 1 | (byte >> (7 - bit % 8) & 1U);
    }
    out.text += kDigits[value];
  }
  if (out.text.find_first_of("+/") == std::string::npos) return;
  auto& of_url = form(capacity);  // RFC 4648, section 5
  of_url.is_base64 = true;
  for (const char c : out.text) of_url.text += c == '+' ? '-' : c == '/' ? '_' : c;
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
  Form decoded(base64.size());
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : base64) {
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    decoded.text += static_cast<char>(bits >> count & 0xff);
  }
  const std::string_view login = decoded.text;
  const auto colon = login.find(':');
  if (colon != std::string_view::npos) add(login.substr(colon + 1));
}

void Redactor::hide(std::string& text, const Form& form) const {
  const auto& secret = form.text;
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
    auto end = at + secret.size();
    if (form.is_base64) {
      while (at > 0 && is_base64(text[at - 1])) --at;
      while (end < text.size() && is_base64(text[end])) ++end;
    }
    text.replace(at, end - at, kHidden);
    at += kHidden.size();
  }
}

void Redactor::hide(std::string& text) const {
  for (const auto& form : forms_) hide(text, form);
  hide_logins(text);
}

void Redactor::hide_cut(std::string& text) const {
  hide(text);
  for (const auto& form : forms_) {
    const std::string_view secret = form.text;
    for (auto size = std::min(secret.size() - 1, text.size()); size >= kSecretBytesMin; --size) {
      if (!text.ends_with(secret.substr(0, size))) continue;
      text.replace(text.size() - size, size, kHidden);
      break;
    }
  }
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
