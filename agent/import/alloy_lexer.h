// The words of Alloy's configuration language: names, texts, numbers, signs, ends of statements.
//
// As the language has it, a line's end ends the statement where one can end there: behind a name, a
// text, a number, ')', ']' or '}'. Texts are decoded: escapes undone, `raw` ones as they stand.
// Comments are passed over. Every byte that no configuration holds (NUL, not UTF-8, an open quote,
// an open comment) is an error with its place; nothing is guessed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "agent/base/result.h"

namespace msp::import {

struct Token {
  enum class Kind { name, text, number, sign, line_end, file_end };

  Kind kind = Kind::file_end;
  std::string text;  // a name, the decoded text, the digits, the sign
  int line = 1;      // both count from 1, columns in characters
  int column = 1;
};

class AlloyLexer {
 public:
  /// `text` outlives the lexer.
  explicit AlloyLexer(std::string_view text);

  /// The next word, file_end again and again at the end. An error's place is line() and column().
  Result<Token> next();

  int line() const { return line_; }
  int column() const { return column_; }
  /// Whether an error is inside of a text, not where one begins.
  bool is_in_text() const { return is_in_text_; }

 private:
  Result<Token> scan();
  Result<void> pass_over_blanks();
  Result<void> pass_over_comment();
  Result<void> check_character() const;
  Result<Token> read_text(char quote);
  Result<void> read_escape(std::string& out);
  Result<Token> read_number();
  Result<Token> read_sign();
  Token begin(Token::Kind kind) const;
  /// Nothing is left: the error is at `from`, where what is open began.
  Error open_at(const Token& from, std::string text);
  bool at_end() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void advance();

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  int column_ = 1;
  bool is_in_text_ = false;
  bool can_end_ = false;  // whether a line's end here ends a statement
};

}  // namespace msp::import
