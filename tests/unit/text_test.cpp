#include "agent/base/text.h"

#include <catch2/catch.hpp>

#include <bit>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace msp {

TEST_CASE("text: lines end at a newline, and the last one may have none") {
  const auto lines = [](std::string_view rest) {
    std::vector<std::string> got;
    while (const auto line = next_line(rest)) got.emplace_back(*line);
    return got;
  };
  CHECK(lines("").empty());
  CHECK(lines("a") == std::vector<std::string>{"a"});
  CHECK(lines("a\n") == std::vector<std::string>{"a"});
  CHECK(lines("\n") == std::vector<std::string>{""});
  CHECK(lines("a\n\nb\r\n") == std::vector<std::string>{"a", "", "b\r"});
}

TEST_CASE("text: words are separated by any run of spaces and tabs") {
  std::string_view rest = " \t one  two\tthree ";
  CHECK(next_word(rest) == "one");
  CHECK(next_word(rest) == "two");
  CHECK(next_word(rest) == "three");
  CHECK(next_word(rest).empty());
  CHECK(next_word(rest).empty());
}

TEST_CASE("text: trim takes white space from both ends only") {
  CHECK(trim("") == "");
  CHECK(trim(" \r\n\t") == "");
  CHECK(trim(" a b\n") == "a b");
}

TEST_CASE("text: a number is the whole text or nothing") {
  CHECK(parse_number<std::uint64_t>("18446744073709551615") == UINT64_MAX);
  for (const std::string_view bad :
       {"", " 1", "1 ", "+1", "-1", "0x1", "18446744073709551616", "1.0"}) {
    INFO(bad);
    CHECK_FALSE(parse_number<std::uint64_t>(bad));
  }
  CHECK(parse_number<int>("-7") == -7);
  CHECK(parse_number<double>("0.25") == 0.25);
  CHECK_FALSE(parse_number<double>("0.25x"));
}

TEST_CASE("text: an amount is not negative and has an end") {
  CHECK(parse_amount("0") == 0);
  CHECK(parse_amount("1286.34") == 1286.34);
  for (const std::string_view bad :
       {"", "nan", "NaN", "nan(1)", "-nan", "inf", "-inf", "infinity", "-1", "-0", "-0.0", "1e999",
        "18446744073709551616", "1 ", " 1", "0x1", "1.5x"}) {
    INFO(bad);
    CHECK_FALSE(parse_amount(bad));
  }
}

TEST_CASE("text: a quote shows what would act on a terminal, and is cut") {
  using namespace std::string_view_literals;
  CHECK(quoted("", 64) == "''");
  CHECK(quoted("(null)", 64) == "'(null)'");
  CHECK(quoted("caf\xc3\xa9 \xe2\x82\xac \xc2\xa0", 64) == "'caf\xc3\xa9 \xe2\x82\xac \xc2\xa0'");
  CHECK(quoted("a\x1b[2J\x7f\t\0"sv, 64) == R"('a\x1b[2J\x7f\t\x00')");
  CHECK(quoted("\xc2\x9b"
               "2J",
               64) == R"('\u009b2J')");                              // C1, as UTF-8
  CHECK(quoted("\x9b\xff\xe2\x82", 64) == R"('\x9b\xff\xe2\x82')");  // not UTF-8
  CHECK(quoted("12345", 5) == "'12345'");
  CHECK(quoted("123456", 5) == "'12345...'");
  CHECK(quoted("1234\xe2\x82\xac", 6) == "'1234...'");  // no half of a character
  CHECK(quoted("1234\x1b", 7) == "'1234...'");          // and none of an escape
  CHECK(quoted(std::string(1'000, '\0'), 64).size() == 64 + 5);
  CHECK(quoted("x", 0) == "'...'");
}

TEST_CASE("text: UTF-8 is what RFC 3629 says") {
  for (const std::string_view good :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
        "a\xe2\x82\xac"
        "b"}) {
    INFO(good);
    CHECK(is_utf8(good));
  }
  CHECK(is_utf8(std::string_view("\0", 1)));
  const std::vector<std::string> bad = {
      "\x80",              // a continuation alone
      "\xbf",              //
      "\xc0\x80",          // overlong NUL
      "\xc1\xbf",          // overlong
      "\xe0\x9f\xbf",      // overlong
      "\xf0\x8f\xbf\xbf",  // overlong
      "\xed\xa0\x80",      // the first surrogate
      "\xed\xbf\xbf",      // the last one
      "\xf4\x90\x80\x80",  // beyond U+10FFFF
      "\xf5\x80\x80\x80",  //
      "\xff",              //
      "\xc2",              // cut off
      "\xe2\x82",          //
      "\xf0\x90\x80",      //
      "\xc2"
      "a",  // no continuation
      "\xe2\x82"
      "a",  //
      "ab\xe9"
      "c",  // Latin-1
  };
  for (const auto& text : bad) {
    INFO(text.size());
    CHECK_FALSE(is_utf8(text));
  }
}

TEST_CASE("text: each run of bytes that are not UTF-8 becomes one U+FFFD") {
  const auto made = [](std::string text) {
    make_utf8(text);
    return text;
  };
  CHECK(made("") == "");
  CHECK(made("caf\xc3\xa9") == "caf\xc3\xa9");
  CHECK(made("\xff") == "\xef\xbf\xbd");
  CHECK(made("a\xff\xfe\xfd"
             "b\xff") ==
        "a\xef\xbf\xbd"
        "b\xef\xbf\xbd");
  CHECK(made("\xe2\x82") == "\xef\xbf\xbd");
  CHECK(made("\xe2\x82"
             "a") ==
        "\xef\xbf\xbd"
        "a");
  CHECK(made("\xed\xa0\x80") == "\xef\xbf\xbd");
  for (int byte = 0; byte < 256; ++byte)
    CHECK(is_utf8(made(std::string(3, static_cast<char>(byte)))));
}

TEST_CASE("text: what is printable is decided by the character") {
  for (const std::string_view text :
       {"a~ ", "\xc2\xa0", "\xc3\xa4", "\xe2\x80\xa7", "\xe2\x80\xaf", "\xf0\x9f\x98\x80"}) {
    CHECK(is_printable(text));
    CHECK(visible(text) == text);
  }
  const std::pair<std::string_view, std::string_view> kEscaped[] = {
      {std::string_view("\0", 1), "\\x00"},
      {"\n", "\\n"},
      {"\r", "\\r"},
      {"\t", "\\t"},
      {"\x1b", "\\x1b"},
      {"\x7f", "\\x7f"},
      {"\x80", "\\x80"},
      {"\xff", "\\xff"},
      {"\xc2\x80", "\\u0080"},
      {"\xc2\x9b", "\\u009b"},
      {"\xe2\x80\xa8", "\\u2028"},
      {"\xe2\x80\xae", "\\u202e"},
      {"\xe2\x81\xa6", "\\u2066"},
      {"\xe2\x81\xa9", "\\u2069"},
      {"\xe2\x82", "\\xe2\\x82"},
  };
  for (const auto& [text, escaped] : kEscaped) {
    CHECK_FALSE(is_printable(text));
    CHECK(visible(cat("a", text, "b")) == cat("a", escaped, "b"));
  }
}

TEST_CASE("text: whatever it is given, what is visible is one printable line, once and again") {
  std::string bytes;
  for (unsigned code = 0; code < 0x3000; ++code) {
    bytes += static_cast<char>(code & 0xff);
    bytes += static_cast<char>(0xe0 | code >> 12);
    bytes += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    bytes += static_cast<char>(0x80 | (code & 0x3f));
  }
  const auto line = visible(bytes);
  CHECK(is_printable(line));
  CHECK(visible(line) == line);
}

TEST_CASE("text: what is visible is cut between characters") {
  CHECK(visible("abcdef", 6) == "abcdef");
  CHECK(visible("abcdef", 5) == "abcde...");
  CHECK(visible("ab\xc3\xa4", 3) == "ab...");
  CHECK(visible(std::string(1000, '\0'), 9) == "\\x00\\x00...");
}

TEST_CASE("text: a duration in its two largest units, however long it is") {
  CHECK(duration_text(999'999'999) == "999 ms");
  CHECK(duration_text(8'000'000'000) == "8 s");
  CHECK(duration_text(INT64_MAX) == "106751 d 23 h");
  CHECK(seconds_text(190) == "3 m 10 s");
  CHECK(seconds_text(2 * 3600 + 300) == "2 h 5 m");
  CHECK(seconds_text(INT64_MAX) == "106751991167300 d 15 h");
}

TEST_CASE("text: cat writes strings, characters and numbers") {
  CHECK(cat("line ", 3, ':', std::string(" x"), std::string_view("y"), -1, 2.5, UINT64_MAX) ==
        "line 3: xy-12.518446744073709551615");
}

TEST_CASE("text: an errno value in the system's words") {
  CHECK(errno_text(ENOENT) == "No such file or directory");
}

TEST_CASE("text: edits from one word to another") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("interval", "intervall") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("ab", "ba") == 2);
}

TEST_CASE("text: the nearest word is within two edits, and not a whole other word") {
  const std::vector<std::string_view> known = {"interval", "labels", "log", "url", "as"};
  CHECK(nearest("intervall", known) == "interval");
  CHECK(nearest("intrvl", known) == "interval");
  CHECK(nearest("label", known) == "labels");
  CHECK(nearest("log", known) == "log");
  CHECK(nearest("uri", known) == "url");
  CHECK(nearest("collectors", known) == "");
  CHECK(nearest("xy", known) == "");  // two edits make any word of two letters
  CHECK(nearest("", known) == "");
  CHECK(nearest("x", std::vector<std::string_view>{}) == "");
}

TEST_CASE("text: a number has the digits that std::to_chars gives it") {
  const auto expected = [](double value, auto... format) {
    char digits[400];
    return std::string(digits, std::to_chars(digits, digits + sizeof digits, value, format...).ptr);
  };
  std::vector<double> values = {0.0,
                                -0.0,
                                1,
                                -1,
                                0.1,
                                1e5,
                                100000.5,
                                1e-4,
                                1e-5,
                                1e22,
                                1e23,
                                5e-324,
                                -4e-310,
                                1.5,
                                1e15,
                                1e16,
                                123456789012345680000.0,
                                0.3,
                                2.0 / 3,
                                std::numeric_limits<double>::max(),
                                std::numeric_limits<double>::min()};
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto any = std::bit_cast<double>(random());
    if (std::isfinite(any)) values.push_back(any);
    values.push_back(static_cast<double>(random() % 1'000'000'000) / 1000);
  }
  for (const auto value : values) {
    if (number_text(value) != expected(value)) CHECK(number_text(value) == expected(value));
    const auto scientific = number_text(value, NumberForm::scientific);
    if (scientific != expected(value, std::chars_format::scientific)) {
      CHECK(scientific == expected(value, std::chars_format::scientific));
    }
  }
  CHECK(number_text(1e-7, NumberForm::fixed) == "0.0000001");
  CHECK(cat(0.25, " s") == "0.25 s");
}

}  // namespace msp
