#include "agent/import/alloy_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/base/text.h"
#include "agent/import/alloy_lexer.h"
#include "agent/import/notes.h"

namespace msp::import {
namespace {

using Kind = AlloyExpression::Kind;

/// What a token is called in an error. A name behind a text in its line is not shown: a quote in
/// the middle of a secret makes one of the secret's other half.
std::string called(const Token& token, bool is_behind_text) {
  switch (token.kind) {
    case Token::Kind::name:
      return is_behind_text ? "a word" : quoted(token.text);
    case Token::Kind::text:
      return "a text";
    case Token::Kind::number:
      return "a number";
    case Token::Kind::sign:
      return cat("'", token.text, "'");
    case Token::Kind::line_end:
      return "the line's end";
    case Token::Kind::file_end:
      break;
  }
  return "the file's end";
}

/// 0: not an operator between two operands.
int precedence(const Token& token) {
  struct Level {
    std::string_view sign;
    int level;
  };
  constexpr Level kLevels[] = {{"||", 1}, {"&&", 2}, {"==", 3}, {"!=", 3}, {"<", 3},
                               {"<=", 3}, {">", 3},  {">=", 3}, {"+", 4},  {"-", 4},
                               {"*", 5},  {"/", 5},  {"%", 5},  {"^", 6}};
  if (token.kind != Token::Kind::sign) return 0;
  for (const auto& [sign, level] : kLevels) {
    if (token.text == sign) return level;
  }
  return 0;
}

/// Recursive descent. After the first error every function returns at once.
class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) { step(); }

  AlloyDocument parse() {
    read_body(document_.root, nullptr);
    return std::move(document_);
  }

 private:
  bool failed() const { return !document_.error.empty(); }

  void fail(const Token& at, std::string text) {
    if (failed()) return;
    document_.error = std::move(text);
    document_.line = at.line;
    document_.column = at.column;
  }

  void fail_expecting(std::string_view what) {
    fail(token_, cat("found ", called(token_, text_line_ == token_.line), "; expected ", what));
  }

  void step() {
    if (token_.kind == Token::Kind::text) text_line_ = lexer_.line();
    auto token = lexer_.next();
    if (token) {
      token_ = std::move(*token);
      return;
    }
    fail({Token::Kind::file_end, "", lexer_.line(), lexer_.column()},
         cat("found ", token.error().text));
    document_.is_in_text = lexer_.is_in_text();
    token_ = {Token::Kind::file_end, "", lexer_.line(), lexer_.column()};
  }

  bool is_sign(std::string_view sign) const {
    return token_.kind == Token::Kind::sign && token_.text == sign;
  }

  bool take_sign(std::string_view sign) {
    if (!is_sign(sign)) return false;
    step();
    return true;
  }

  /// Counts levels of nesting while it lives.
  struct Level {
    explicit Level(Parser& parser) : parser(parser) {
      if (++parser.depth_ > AlloyDocument::kDepthMax) {
        parser.fail(parser.token_,
                    cat("nested too deep; expected at most ", AlloyDocument::kDepthMax, " levels"));
      }
    }
    ~Level() { --parser.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    Parser& parser;
  };

  /// Statements up to the end of the file or of the block that `opened` opened.
  void read_body(AlloyBlock& block, const Token* opened) {
    const Level level(*this);
    while (!failed()) {
      if (opened != nullptr && is_sign("}")) return;
      if (token_.kind == Token::Kind::file_end) {
        if (opened != nullptr) fail(*opened, "this '{' is not closed; expected '}'");
        return;
      }
      read_statement(block);
      if (failed() || (opened != nullptr && is_sign("}"))) return;
      if (token_.kind != Token::Kind::line_end) {
        fail_expecting("the end of the line: one statement a line");
        return;
      }
      step();
    }
  }

  void read_statement(AlloyBlock& into) {
    if (token_.kind != Token::Kind::name) {
      fail_expecting(is_sign("}") ? "a name, for there is no '{' that this closes"
                                  : "the name of a block or an attribute");
      return;
    }
    const auto first = token_;
    auto name = read_path();
    if (failed()) return;
    std::string label;
    if (token_.kind == Token::Kind::text) {
      label = token_.text;
      step();
      if (!is_sign("{")) return fail_expecting("'{', the beginning of the block");
    }
    if (is_sign("{")) {
      const auto opened = token_;
      step();
      AlloyBlock block{std::move(name), std::move(label), first.line, {}, {}};
      read_body(block, &opened);
      if (failed()) return;
      step();  // the '}'
      into.blocks.push_back(std::move(block));
      return;
    }
    const bool is_dotted = name.find('.') != std::string::npos;
    if (!is_sign("=")) {
      return fail_expecting(is_dotted ? "'{' or a label in double quotes" : "'=' or '{'");
    }
    if (is_dotted) return fail_expecting("'{', for a name with dots is that of a block");
    step();
    into.attributes.push_back({std::move(name), first.line, read_expression()});
  }

  /// name { "." name }
  std::string read_path() {
    auto path = token_.text;
    step();
    while (take_sign(".")) {
      if (token_.kind != Token::Kind::name) {
        fail_expecting("a name behind the '.'");
        break;
      }
      path += cat(".", token_.text);
      step();
    }
    return path;
  }

  AlloyExpression read_expression() { return read_operation(1); }

  /// Operators of one level make one flat list of operands: `a + b + c` is no tree, however long.
  AlloyExpression read_operation(int level_min) {
    const Level level(*this);
    if (failed()) return {};
    auto left = read_unary();
    for (int found = precedence(token_); !failed() && found >= level_min;
         found = precedence(token_)) {
      AlloyExpression operation{Kind::operation, left.line, left.column, "", {}, {}};
      operation.items.push_back(std::move(left));
      while (!failed() && precedence(token_) == found) {
        operation.text += token_.text;
        step();
        // '^' takes its right side first; as nothing here computes it, the order does not matter.
        operation.items.push_back(read_operation(found + 1));
      }
      left = std::move(operation);
    }
    return left;
  }

  AlloyExpression read_unary() {
    if (!is_sign("!") && !is_sign("-")) return read_postfix();
    const Level level(*this);
    AlloyExpression operation{Kind::operation, token_.line, token_.column, token_.text, {}, {}};
    if (failed()) return operation;
    step();
    auto operand = read_unary();
    if (operation.text == "-" && operand.kind == Kind::word) {
      operand.text = cat("-", operand.text);
      return operand;
    }
    operation.items.push_back(std::move(operand));
    return operation;
  }

  /// What may follow a value: calls, indices, members.
  AlloyExpression read_postfix() {
    auto value = read_primary();
    for (std::size_t depth = 0; !failed(); ++depth) {
      if (depth + depth_ > AlloyDocument::kDepthMax) {
        fail(token_,
             cat("nested too deep; expected at most ", AlloyDocument::kDepthMax, " levels"));
      }
      if (is_sign("(")) {
        value = read_call(std::move(value));
      } else if (is_sign("[")) {
        AlloyExpression index{Kind::other, value.line, value.column, "an index", {}, {}};
        const auto opened = token_;
        step();
        index.items.push_back(std::move(value));
        index.items.push_back(read_expression());
        if (!take_sign("]")) fail_expecting(cat("']' for the '[' of line ", opened.line));
        value = std::move(index);
      } else if (is_sign(".")) {
        step();
        if (token_.kind != Token::Kind::name) fail_expecting("a name behind the '.'");
        AlloyExpression member{Kind::other, value.line, value.column, "a member", {}, {}};
        member.items.push_back(std::move(value));
        value = std::move(member);
        if (!failed()) step();
      } else {
        break;
      }
    }
    return value;
  }

  AlloyExpression read_call(AlloyExpression function) {
    AlloyExpression call{Kind::call, function.line, function.column, function.text, {}, {}};
    if (function.kind != Kind::reference) {
      call.kind = Kind::other;
      call.text = "a call";
    }
    const auto opened = token_;
    step();
    read_items(opened, ")", call.items);
    return call;
  }

  AlloyExpression read_primary() {
    AlloyExpression value{Kind::word, token_.line, token_.column, token_.text, {}, {}};
    if (token_.kind == Token::Kind::name) {
      if (token_.text == "true" || token_.text == "false" || token_.text == "null") {
        step();
        return value;
      }
      value.kind = Kind::reference;
      value.text = read_path();
    } else if (token_.kind == Token::Kind::text || token_.kind == Token::Kind::number) {
      if (token_.kind == Token::Kind::text) value.kind = Kind::text;
      step();
    } else if (is_sign("(")) {
      const Level level(*this);
      const auto opened = token_;
      step();
      value = read_expression();
      if (!take_sign(")")) fail_expecting(cat("')' for the '(' of line ", opened.line));
    } else if (is_sign("[")) {
      const auto opened = token_;
      value.kind = Kind::list;
      value.text.clear();
      step();
      read_items(opened, "]", value.items);
    } else if (is_sign("{")) {
      const auto opened = token_;
      value.kind = Kind::object;
      value.text.clear();
      step();
      read_fields(opened, value);
    } else {
      fail_expecting("a value");
    }
    return value;
  }

  /// After an item of what `opened` opened: whether another one follows. Takes the closing sign.
  bool goes_on(const Token& opened, std::string_view closing) {
    if (failed() || take_sign(closing)) return false;
    if (take_sign(",")) return !take_sign(closing);
    if (token_.kind == Token::Kind::file_end) {
      fail(opened, cat("this '", opened.text, "' is not closed; expected '", closing, "'"));
    } else if (token_.kind == Token::Kind::line_end) {
      fail_expecting(cat("',' or '", closing, "'; the last item of a line needs a ','"));
    } else {
      fail_expecting(cat("',' or '", closing, "'"));
    }
    return false;
  }

  void read_items(const Token& opened, std::string_view closing,
                  std::vector<AlloyExpression>& items) {
    const Level level(*this);
    if (failed() || take_sign(closing)) return;
    do {
      if (token_.kind == Token::Kind::file_end) {
        fail(opened, cat("this '", opened.text, "' is not closed; expected '", closing, "'"));
        return;
      }
      items.push_back(read_expression());
    } while (goes_on(opened, closing));
  }

  void read_fields(const Token& opened, AlloyExpression& object) {
    const Level level(*this);
    if (failed() || take_sign("}")) return;
    do {
      if (token_.kind == Token::Kind::file_end) {
        fail(opened, "this '{' is not closed; expected '}'");
        return;
      }
      if (token_.kind != Token::Kind::name && token_.kind != Token::Kind::text) {
        return fail_expecting("a key, a name or a text");
      }
      object.names.push_back(token_.text);
      step();
      if (!take_sign("=")) return fail_expecting("'=' behind the key");
      object.items.push_back(read_expression());
    } while (goes_on(opened, "}"));
  }

  AlloyLexer lexer_;
  Token token_;
  int text_line_ = 0;  // where the last text ended
  AlloyDocument document_;
  std::size_t depth_ = 0;
};

}  // namespace

AlloyDocument parse_alloy(std::string_view text) {
  return Parser(text).parse();
}

}  // namespace msp::import
