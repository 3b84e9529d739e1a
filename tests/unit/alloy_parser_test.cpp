// Alloy's language: what it says, and where it is wrong.
#include "agent/import/alloy_parser.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "agent/base/text.h"

namespace msp {
namespace {

using Kind = import::AlloyExpression::Kind;

/// "line:column: error" of a text, or "".
std::string error_of(const std::string& text) {
  const auto document = import::parse_alloy(text);
  if (document.error.empty()) return "";
  return cat(document.line, ":", document.column, ": ", document.error);
}

/// The value of the text `expression`; requires that there is one.
import::AlloyExpression value_of(const std::string& expression){
    const auto document = import::parse_alloy(cat("a = ", expression, "\n"));
INFO(expression << " " << document.error);
REQUIRE(document.error.empty());
return document.root.attributes.at(0).value;
}  // namespace

TEST_CASE("alloy: blocks, labels, attributes, with their lines") {
  const auto document = import::parse_alloy(
      "// a comment\n"
      "logging { }\n"
      "prometheus.remote_write \"centre\" {\n"
      "  endpoint {\n"
      "    url = \"http://h/w\" // behind it\n"
      "  }\n"
      "  endpoint { url = \"http://i/w\" }\n"
      "}");
  REQUIRE(document.error.empty());
  const auto& blocks = document.root.blocks;
  REQUIRE(blocks.size() == 2);
  CHECK(blocks[0].name == "logging");
  CHECK(blocks[1].name == "prometheus.remote_write");
  CHECK(blocks[1].label == "centre");
  CHECK(blocks[1].line == 3);
  REQUIRE(blocks[1].blocks.size() == 2);
  CHECK(blocks[1].blocks[0].attributes.at(0).line == 5);
  CHECK(blocks[1].blocks[0].attributes.at(0).value.text == "http://h/w");
}

TEST_CASE("alloy: every kind of value") {
  CHECK(value_of("\"a\\tb\\\"\\\\\\u00e9\\x41\\101\\U0001F600\"").text == "a\tb\"\\éAA😀");
  CHECK(value_of("`raw\\n\nline`").text == "raw\\n\nline");
  for (const std::string word : {"1", "-1", "1.5", ".5", "1e3", "2e-3", "true", "false", "null"}) {
    CHECK(value_of(word).kind == Kind::word);
    CHECK(value_of(word).text == word);
  }
  CHECK(value_of("[1, \"a\",\n[],\n]").items.size() == 3);
  const auto object = value_of("{a = 1, \"b c\" = 2,}");
  CHECK(object.names == std::vector<std::string>{"a", "b c"});
  CHECK(value_of("prometheus.exporter.unix.x.targets").text ==
        "prometheus.exporter.unix.x.targets");
  const auto call = value_of("sys.env(\"X\")");
  CHECK(call.kind == Kind::call);
  CHECK(call.text == "sys.env");
  CHECK(value_of("f()").items.empty());
  CHECK(value_of("a.b[\"c\"].d[0]").kind == Kind::other);
  CHECK(value_of("((((\"x\"))))").text == "x");
  CHECK(value_of("\"a\" + \"b\" + env(\"C\")").items.size() == 3);
  const auto mixed = value_of("1 + 2 * 3 == 7 && !(true || false)");
  CHECK(mixed.kind == Kind::operation);
  CHECK(mixed.text == "&&");
}

TEST_CASE("alloy: CRLF, a byte order mark, comments of both kinds, no end of line at the end") {
  CHECK(error_of("\xef\xbb\xbf"
                 "a {\r\n  b = 1 /* c */\r\n  d = `x\r\ny`\r\n}\r\n// end") == "");
  CHECK(import::parse_alloy("a = `x\r\ny`").root.attributes.at(0).value.text == "x\ny");
  CHECK(error_of("") == "");
  CHECK(error_of("/* only\n a comment */") == "");
  CHECK(error_of("서버 { 이름 = \"값\" }") == "");
}

TEST_CASE("alloy: what is wrong is told with its place and what was expected") {
  struct Row {
    std::string text;
    std::string error;
  };
  const std::vector<Row> rows = {
      {"a \"b\" {\n  c = \"open\n}",
       "2:7: found this text is not closed; expected '\"' in the same line"},
      {"a = `open\n\n", "1:5: found this text is not closed; expected '`'"},
      {"a { }\n/* open\n", "2:1: found this comment is not closed; expected '*/'"},
      {"a \"b\" {\n  c = 1\n", "1:7: this '{' is not closed; expected '}'"},
      {"a {\n  b {\n    c = 1\n}\n", "1:3: this '{' is not closed; expected '}'"},
      {"}\n", "1:1: found '}'; expected a name, for there is no '{' that this closes"},
      {"a = \n", "2:1: found the file's end; expected a value"},
      {"a = }", "1:5: found '}'; expected a value"},
      {"a = 1 b = 2", "1:7: found 'b'; expected the end of the line: one statement a line"},
      {"a", "1:2: found the line's end; expected '=' or '{'"},
      {"a.b", "1:4: found the line's end; expected '{' or a label in double quotes"},
      {"a.b = 1", "1:5: found '='; expected '{', for a name with dots is that of a block"},
      {"a. { }", "1:4: found '{'; expected a name behind the '.'"},
      {"a \"b\" = 1", "1:7: found '='; expected '{', the beginning of the block"},
      {"= 1", "1:1: found '='; expected the name of a block or an attribute"},
      {"\"a\" = 1", "1:1: found a text; expected the name of a block or an attribute"},
      {"a = [1, 2",
       "1:10: found the line's end; expected ',' or ']'; the last item of a line needs a ','"},
      {"a = [1,\n  2\n]",
       "2:4: found the line's end; expected ',' or ']'; the last item of a line needs a ','"},
      {"a = [1,\n", "1:5: this '[' is not closed; expected ']'"},
      {"a = [1 2]", "1:8: found a number; expected ',' or ']'"},
      {"a = {b = 1, 2 = 3}", "1:13: found a number; expected a key, a name or a text"},
      {"a = {b 1}", "1:8: found a number; expected '=' behind the key"},
      {"a = f(1",
       "1:8: found the line's end; expected ',' or ')'; the last item of a line needs a ','"},
      {"a = (1", "1:7: found the line's end; expected ')' for the '(' of line 1"},
      {"a = b[1", "1:8: found the line's end; expected ']' for the '[' of line 1"},
      {"a = b.1", "1:6: found a number; expected the end of the line: one statement a line"},
      {"a = 'x'", "1:5: found a single quote; expected texts in double quotes"},
      {"# x", "1:1: found a '#'; expected comments to begin with '//'"},
      {"a = 1 & 2",
       "1:7: found a character that the language does not have; expected a name or a value"},
      {"a = \"\\q\"",
       "1:7: found an unknown escape; expected one of \\n \\t \\r \\\\ \\\" \\xNN \\uNNNN"},
      {"a = \"\\u12\"", "1:10: found an escape that breaks off; expected another digit"},
      {"a = \"\\ud800\"", "1:12: found an escape of no character; expected a Unicode code point"},
      {"a = 1e", "1:7: found an exponent without digits; expected a number"},
      {std::string("a = 1\n\0b = 2", 12), "2:1: found a NUL byte; expected text in UTF-8"},
      {std::string("a = \"x\0y\"", 9), "1:7: found a NUL byte; expected text in UTF-8"},
      {"a = \"é\xff\"", "1:7: found a byte that is not UTF-8; expected text in UTF-8"},
      {"// \xff", "1:4: found a byte that is not UTF-8; expected text in UTF-8"},
      {"x\xc3", "1:2: found a byte that is not UTF-8; expected text in UTF-8"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(error_of(row.text) == row.error);
  }
}

TEST_CASE("alloy: nesting has an end, length has none") {
  for (const std::string unit : {"[", "(", "{a=", "f(", "!", "-", "a[", "1+("}) {
    std::string text = "a = ";
    while (text.size() < 100'000) text += unit;
    INFO(unit);
    CHECK(error_of(text).find("nested too deep; expected at most 64 levels") != std::string::npos);
  }
  std::string blocks;
  for (int i = 0; i < 10'000; ++i) blocks += "a {\n";
  CHECK(error_of(blocks).find("nested too deep") != std::string::npos);
  std::string calls = "a = f";
  for (int i = 0; i < 10'000; ++i) calls += "()";
  CHECK(error_of(calls).find("nested too deep") != std::string::npos);

  std::string sum = "a = 1";
  std::string powers = "a = 1";
  std::string path = "a = b";
  for (int i = 0; i < 50'000; ++i) {
    sum += "+1";
    powers += "^1";
    path += ".b";
  }
  for (const auto& text : {sum, powers, path}) CHECK(error_of(text) == "");
  std::string deep = "a = ";
  for (int i = 0; i < 15; ++i) deep += "[";
  for (int i = 0; i < 15; ++i) deep += "]";
  CHECK(error_of(deep) == "");
}

}  // namespace msp
}  // namespace msp
