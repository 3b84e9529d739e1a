#include "agent/base/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <system_error>
#include <vector>

namespace msp {
namespace {

/// Bytes of the valid UTF-8 character at the front of `text`, or 0.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i, unsigned char from = 0x80, unsigned char to = 0xbf) {
    return i < text.size() && byte(i) >= from && byte(i) <= to;
  };
  const auto lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned char from = lead == 0xe0 ? 0xa0 : 0x80;
    const unsigned char to = lead == 0xed ? 0x9f : 0xbf;
    return continues(1, from, to) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned char from = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char to = lead == 0xf4 ? 0x8f : 0xbf;
    return continues(1, from, to) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

/// The code point of a whole UTF-8 character.
std::uint32_t code_point(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return lead;
  std::uint32_t code = lead & (0x7fU >> character.size());
  for (const char next : character.substr(1)) {
    code = code << 6 | (static_cast<unsigned char>(next) & 0x3fU);
  }
  return code;
}

bool is_code_printable(std::uint32_t code) {
  const auto is_between = [&](std::uint32_t first, std::uint32_t last) {
    return code >= first && code <= last;
  };
  return code >= 0x20 && !is_between(0x7f, 0x9f) && !is_between(0x2028, 0x202e) &&
         !is_between(0x2066, 0x2069);
}

void append_escaped(std::string& out, const Character& character) {
  constexpr char kHex[] = "0123456789abcdef";
  if (character.code == '\n' || character.code == '\r' || character.code == '\t') {
    out += character.code == '\n' ? "\\n" : character.code == '\r' ? "\\r" : "\\t";
    return;
  }
  const bool is_byte = character.bytes == 1;
  out += is_byte ? "\\x" : "\\u";
  for (int shift = is_byte ? 4 : 12; shift >= 0; shift -= 4) {
    out += kHex[character.code >> shift & 0xf];
  }
}

}  // namespace

std::optional<std::string_view> next_line(std::string_view& rest) {
  if (rest.empty()) return std::nullopt;
  const auto end = rest.find('\n');
  const auto line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return line;
}

std::string_view next_word(std::string_view& rest) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  std::size_t begin = 0;
  while (begin < rest.size() && is_blank(rest[begin])) ++begin;
  std::size_t end = begin;
  while (end < rest.size() && !is_blank(rest[end])) ++end;
  const auto word = rest.substr(begin, end - begin);
  rest.remove_prefix(end);
  return word;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  return lower;
}

std::optional<double> parse_amount(std::string_view text) {
  if (text.starts_with('-')) return std::nullopt;
  const auto amount = parse_number<double>(text);
  return amount && *amount < 0x1p64 ? amount : std::nullopt;  // no NaN is
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void make_utf8(std::string& text) {
  if (is_utf8(text)) return;
  std::string valid;
  bool in_bad_run = false;
  for (std::string_view rest = text; !rest.empty();) {
    const auto length = utf8_length(rest);
    if (length == 0) {
      if (!in_bad_run) valid += "\xef\xbf\xbd";
      in_bad_run = true;
      rest.remove_prefix(1);
    } else {
      in_bad_run = false;
      valid += rest.substr(0, length);
      rest.remove_prefix(length);
    }
  }
  text = std::move(valid);
}

Character first_character(std::string_view text) {
  const auto bytes = utf8_length(text);
  if (bytes == 0) return {1, false, static_cast<unsigned char>(text[0]), false};
  const auto code = code_point(text.substr(0, bytes));
  return {bytes, true, code, is_code_printable(code)};
}

bool is_printable(std::string_view text) {
  while (!text.empty()) {
    const auto character = first_character(text);
    if (!character.is_printable) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

std::string visible(std::string_view text, std::size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    const auto character = first_character(text);
    const auto size_before = out.size();
    if (character.is_printable) {
      out += text.substr(0, character.bytes);
    } else {
      append_escaped(out, character);
    }
    if (out.size() > bytes_max) {
      out.resize(size_before);
      return out + "...";
    }
    text.remove_prefix(character.bytes);
  }
  return out;
}

std::string quoted(std::string_view text, std::size_t bytes_max) {
  return cat("'", visible(text, bytes_max), "'");
}

std::string visible_lines(std::string_view text) {
  std::string lines;
  while (const auto line = next_line(text)) lines += visible(*line) + '\n';
  return lines;
}

std::string duration_text(std::int64_t ns) {
  if (ns < 1'000'000'000) return cat(ns / 1'000'000, " ms");
  return seconds_text(ns / 1'000'000'000);
}

std::string seconds_text(std::int64_t seconds) {
  const auto minutes = seconds / 60;
  const auto hours = minutes / 60;
  if (minutes == 0) return cat(seconds, " s");
  if (hours == 0) return cat(minutes, " m ", seconds % 60, " s");
  if (hours < 24) return cat(hours, " h ", minutes % 60, " m");
  return cat(hours / 24, " d ", hours % 24, " h");
}

std::string grouped(std::uint64_t count) {
  auto text = std::to_string(count);
  for (auto at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

NumberPart::NumberPart(std::int64_t number)
    : size_(static_cast<std::size_t>(std::to_chars(digits_, digits_ + sizeof digits_, number).ptr -
                                     digits_)) {}

NumberPart::NumberPart(std::uint64_t number)
    : size_(static_cast<std::size_t>(std::to_chars(digits_, digits_ + sizeof digits_, number).ptr -
                                     digits_)) {}

NumberPart::NumberPart(double number) : size_(number_text(number).copy(digits_, sizeof digits_)) {}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const auto part : parts) size += part.size();
  std::string text;
  text.reserve(size);
  for (const auto part : parts) text += part;
  return text;
}

std::string number_text(double value, NumberForm form) {
  constexpr int kDigitsAlways = 15;  // as many survive the way to a double and back
  constexpr int kDigitsMax = 17;
  char written[40];  // "-1.2345678901234567e-308"
  const bool is_subnormal = std::fpclassify(value) == FP_SUBNORMAL;
  for (int digits = is_subnormal ? 1 : kDigitsAlways; digits <= kDigitsMax; ++digits) {
    std::snprintf(written, sizeof written, "%.*e", digits - 1, value);
    if (std::strtod(written, nullptr) == value) break;
  }
  std::string_view mantissa = written;
  const auto exponent_text = mantissa.substr(mantissa.find('e') + 1);
  const int exponent = std::atoi(exponent_text.data());
  mantissa = mantissa.substr(0, mantissa.find('e'));
  std::string sign;
  if (mantissa.starts_with('-')) {
    sign = "-";
    mantissa.remove_prefix(1);
  }
  auto digits = cat(mantissa.front(), mantissa.substr(std::min<std::size_t>(2, mantissa.size())));
  digits.erase(std::max<std::size_t>(digits.find_last_not_of('0') + 1, 1));
  const auto scientific = cat(sign, digits.front(), digits.size() > 1 ? "." : "",
                              std::string_view(digits).substr(1), "e", exponent_text);
  if (form == NumberForm::scientific) return scientific;
  const auto whole = exponent + 1;  // digits in front of the point
  std::string fixed;
  if (whole <= 0) {
    fixed = cat(sign, "0.", std::string(static_cast<std::size_t>(-whole), '0'), digits);
  } else if (static_cast<std::size_t>(whole) < digits.size()) {
    fixed = cat(sign, digits.insert(static_cast<std::size_t>(whole), "."));
  } else {
    char exact[320];  // a double has 309 digits at most
    fixed = std::string(
        exact, static_cast<std::size_t>(std::snprintf(exact, sizeof exact, "%.0f", value)));
  }
  return form == NumberForm::fixed || fixed.size() <= scientific.size() ? fixed : scientific;
}

}  // namespace msp
