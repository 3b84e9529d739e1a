#include "agent/import/alloy_lexer.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "agent/base/text.h"

namespace msp::import {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Every character beyond ASCII counts as a letter: more than the language takes, and no harm.
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

std::optional<std::uint32_t> digit_of(char c, std::uint32_t base) {
  std::uint32_t digit = 16;
  if (is_digit(c)) digit = static_cast<std::uint32_t>(c - '0');
  if (c >= 'a' && c <= 'f') digit = static_cast<std::uint32_t>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') digit = static_cast<std::uint32_t>(c - 'A') + 10;
  if (digit >= base) return std::nullopt;
  return digit;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto byte = [&](std::uint32_t bits) { out += static_cast<char>(bits); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | (code >> 6));
    byte(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    byte(0xe0 | (code >> 12));
    byte(0x80 | ((code >> 6) & 0x3f));
    byte(0x80 | (code & 0x3f));
  } else {
    byte(0xf0 | (code >> 18));
    byte(0x80 | ((code >> 12) & 0x3f));
    byte(0x80 | ((code >> 6) & 0x3f));
    byte(0x80 | (code & 0x3f));
  }
}

}  // namespace

AlloyLexer::AlloyLexer(std::string_view text) : text_(text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
}

void AlloyLexer::advance() {
  const char c = text_[at_++];
  if (c == '\n') {
    ++line_;
    column_ = 1;
  } else if ((peek() & 0xc0) != 0x80 || at_end()) {
    ++column_;  // not inside a character
  }
}

Token AlloyLexer::begin(Token::Kind kind) const {
  return {kind, "", line_, column_};
}

Error AlloyLexer::open_at(const Token& from, std::string text) {
  line_ = from.line;
  column_ = from.column;
  return failed(std::move(text));
}

Result<Token> AlloyLexer::next() {
  auto token = scan();
  if (!token) return token;
  constexpr std::string_view kEnds = ")]}";
  can_end_ = token->kind == Token::Kind::name || token->kind == Token::Kind::text ||
             token->kind == Token::Kind::number ||
             (token->kind == Token::Kind::sign && kEnds.find(token->text) != kEnds.npos);
  return token;
}

Result<Token> AlloyLexer::scan() {
  if (const auto passed = pass_over_blanks(); !passed) return passed.error();
  if (at_end() || peek() == '\n') {
    auto token = begin(can_end_ ? Token::Kind::line_end : Token::Kind::file_end);
    if (!at_end()) advance();
    return token;
  }
  if (const auto checked = check_character(); !checked) return checked.error();
  const char c = peek();
  if (c == '"' || c == '`') return read_text(c);
  if (c == '\'') return failed("a single quote; expected texts in double quotes");
  if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return read_number();
  if (!is_letter(c)) return read_sign();
  auto token = begin(Token::Kind::name);
  while (is_letter(peek()) || is_digit(peek())) {
    if (const auto checked = check_character(); !checked) return checked.error();
    token.text += peek();
    advance();
    while (!at_end() && (peek() & 0xc0) == 0x80) {
      token.text += peek();
      advance();
    }
  }
  return token;
}

Result<void> AlloyLexer::pass_over_blanks() {
  while (!at_end()) {
    const char c = peek();
    if (c == ' ' || c == '\t' || c == '\r' || (c == '\n' && !can_end_)) {
      advance();
    } else if (c == '/' && (peek(1) == '/' || peek(1) == '*')) {
      if (const auto passed = pass_over_comment(); !passed) return passed;
    } else {
      break;
    }
  }
  return {};
}

Result<void> AlloyLexer::pass_over_comment() {
  const auto from = begin(Token::Kind::sign);
  const bool is_block = peek(1) == '*';
  advance();
  advance();
  while (!at_end()) {
    if (!is_block && peek() == '\n') return {};
    if (is_block && peek() == '*' && peek(1) == '/') {
      advance();
      advance();
      return {};
    }
    if (const auto checked = check_character(); !checked) return checked;
    advance();
  }
  if (!is_block) return {};
  return open_at(from, "this comment is not closed; expected '*/'");
}

/// Whether a character of the language begins here.
Result<void> AlloyLexer::check_character() const {
  const char c = peek();
  if (c == '\0') return failed("a NUL byte; expected text in UTF-8");
  if ((c & 0x80) == 0) return {};
  if ((c & 0xc0) == 0x80 && at_ > 0 && (text_[at_ - 1] & 0x80) != 0) return {};  // inside one
  for (std::size_t length = 2; length <= 4 && at_ + length <= text_.size(); ++length) {
    if (is_utf8(text_.substr(at_, length))) return {};
  }
  return failed("a byte that is not UTF-8; expected text in UTF-8");
}

Result<Token> AlloyLexer::read_text(char quote) {
  auto token = begin(Token::Kind::text);
  const bool is_raw = quote == '`';
  is_in_text_ = true;
  advance();
  for (;;) {
    if (at_end() || (!is_raw && peek() == '\n')) {
      is_in_text_ = false;
      return open_at(token, is_raw ? "this text is not closed; expected '`'"
                                   : "this text is not closed; expected '\"' in the same line");
    }
    const char c = peek();
    if (c == quote) break;
    if (const auto checked = check_character(); !checked) return checked.error();
    advance();
    if (c == '\\' && !is_raw) {
      if (const auto escape = read_escape(token.text); !escape) return escape.error();
    } else if (c != '\r') {
      token.text += c;
    }
  }
  is_in_text_ = false;
  advance();
  return token;
}

Result<void> AlloyLexer::read_escape(std::string& out) {
  constexpr std::string_view kLetters = "abfnrtv\\\"'";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\\"'";
  const char c = peek();
  if (const auto at = kLetters.find(c); at != kLetters.npos && !at_end()) {
    out += kMeanings[at];
    advance();
    return {};
  }
  const auto base = c == 'x' || c == 'u' || c == 'U' ? 16u : 8u;
  int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 3;
  if (base == 8 && !digit_of(c, 8)) {
    return failed("an unknown escape; expected one of \\n \\t \\r \\\\ \\\" \\xNN \\uNNNN");
  }
  if (base == 16) advance();
  std::uint32_t code = 0;
  for (; digits > 0; --digits) {
    const auto digit = digit_of(peek(), base);
    if (!digit) return failed("an escape that breaks off; expected another digit");
    code = code * base + *digit;
    advance();
  }
  const bool is_byte = base == 8 || c == 'x';
  if (code > (is_byte ? 0xffu : 0x10ffffu) || (code >= 0xd800 && code < 0xe000)) {
    return failed("an escape of no character; expected a Unicode code point");
  }
  if (is_byte) {
    out += static_cast<char>(code);
  } else {
    append_utf8(out, code);
  }
  return {};
}

Result<Token> AlloyLexer::read_number() {
  auto token = begin(Token::Kind::number);
  const auto digits = [&] {
    int count = 0;
    for (; is_digit(peek()); ++count) {
      token.text += peek();
      advance();
    }
    return count;
  };
  digits();
  if (peek() == '.') {
    token.text += '.';
    advance();
    digits();
  }
  if (peek() == 'e' || peek() == 'E') {
    token.text += 'e';
    advance();
    if (peek() == '+' || peek() == '-') {
      token.text += peek();
      advance();
    }
    if (digits() == 0) return failed("an exponent without digits; expected a number");
  }
  return token;
}

Result<Token> AlloyLexer::read_sign() {
  constexpr std::string_view kDoubles[] = {"||", "&&", "!=", "==", "<=", ">="};
  constexpr std::string_view kSingles = "!=<>+-*/%^{}()[],.";
  auto token = begin(Token::Kind::sign);
  const auto two = text_.substr(at_, 2);
  if (std::find(std::begin(kDoubles), std::end(kDoubles), two) != std::end(kDoubles)) {
    token.text = two;
    advance();
    advance();
    return token;
  }
  if (peek() == '#') return failed("a '#'; expected comments to begin with '//'");
  if (kSingles.find(peek()) == kSingles.npos) {
    return failed("a character that the language does not have; expected a name or a value");
  }
  token.text = peek();
  advance();
  return token;
}

}  // namespace msp::import
