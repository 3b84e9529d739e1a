#include "agent/base/regex.h"

#include <catch2/catch.hpp>

namespace msp {
namespace {

Filter filter(std::string_view regex, PatternUse use) {
  auto made = make_filter(regex, use);
  REQUIRE(made.has_value());
  return *made;
}

}  // namespace

TEST_CASE("pattern: matches anywhere, as node_exporter's do") {
  const auto excluded = filter("eth", PatternUse::exclude);
  CHECK_FALSE(excluded("veth0"));
  CHECK(excluded("lo"));
  const auto included = filter("eth", PatternUse::include);
  CHECK(included("veth0"));
  CHECK_FALSE(included("lo"));
  CHECK(filter("^eth$", PatternUse::exclude)("eth0"));
}

TEST_CASE("pattern: the empty one wants everything, either way") {
  CHECK(filter("", PatternUse::exclude)("x"));
  CHECK(filter("", PatternUse::include)("x"));
}

TEST_CASE("pattern: '$' is the end of the name, not of a line in it") {
  CHECK(filter("^a$", PatternUse::exclude)("a\nb"));
  CHECK(filter("^a$", PatternUse::exclude)("a\n"));
}

TEST_CASE("pattern: names of any bytes") {
  CHECK(filter("^x", PatternUse::exclude)("\xff\xfe"));
  CHECK_FALSE(filter("^x", PatternUse::exclude)("x\xff"));
  CHECK(filter("^x", PatternUse::exclude)(""));
  const std::string long_name(100'000, 'a');
  CHECK_FALSE(filter("(a|aa)+$", PatternUse::exclude)(long_name));
}

TEST_CASE("pattern: what does not compile says why") {
  const auto why = [](std::string_view regex) {
    const auto made = make_filter(regex, PatternUse::exclude);
    return made ? std::string() : made.error().text;
  };
  CHECK(why("(a") == "missing )");
  CHECK(why("a)") == "unexpected )");
  CHECK(why("*a") == "no argument for repetition operator '*'");
  CHECK(why("(?!a)") == "invalid perl operator '(?!'");
  CHECK(why("\\1") == "invalid escape sequence");
  CHECK_FALSE(why("((a{1,100}){1,100}){1,100}").empty());
}

TEST_CASE("whole regex: it is anchored, and its dot matches a newline") {
  const auto matches = [](std::string_view regex, std::string_view text) {
    const auto compiled = WholeRegex::compile(regex);
    REQUIRE(compiled.has_value());
    return compiled->matches(text);
  };
  CHECK(matches("(.*)", "a;b"));
  CHECK(matches("a|ab", "ab"));
  CHECK(matches("a.b", "a\nb"));
  CHECK_FALSE(matches("b", "abc"));
  CHECK_FALSE(matches("a", "a\n"));
  CHECK(matches("", ""));
  CHECK_FALSE(matches("", "a"));
  const auto bad = WholeRegex::compile("(");
  REQUIRE_FALSE(bad.has_value());
  CHECK(bad.error().text == "missing )");
}

TEST_CASE("whole regex: a replacement is expanded as Go does it") {
  const auto expand = [](std::string_view regex, std::string_view text,
                         std::string_view replacement) {
    const auto compiled = WholeRegex::compile(regex);
    REQUIRE(compiled.has_value());
    return compiled->expand(text, replacement).value_or("no match");
  };
  CHECK(expand("(.*)", "ab", "$1") == "ab");
  CHECK(expand("(.*)", "ab", "<${1}>") == "<ab>");
  CHECK(expand("(a)(b)", "ab", "$2-$1-$0") == "b-a-ab");
  CHECK(expand("(a)|(b)", "b", "$1$2") == "b");
  CHECK(expand("(?P<x>a)(?P<y1>b)", "ab", "$y1/${x}") == "b/a");
  CHECK(expand("(a)b", "ab", "$1x") == "");  // the group named 1x
  CHECK(expand("(a)b", "ab", "${1}x") == "ax");
  CHECK(expand("(a)b", "ab", "$1_x") == "");
  CHECK(expand("(a)b", "ab", "$1-x") == "a-x");
  CHECK(expand("(a)b", "ab", "$1:9100") == "a:9100");
  CHECK(expand("(a)b", "ab", "$1\xec\x9b\x90") == "");  // a letter, too
  CHECK(expand("(a)b", "ab", "$2$9$99999999999999999999$01") == "");
  CHECK(expand("(a)b", "ab", "$$1$$") == "$1$");
  CHECK(expand("(a)b", "ab", "$ ${ ${} ${1 ${1-} $- $") == "$ ${ ${} ${1 ${1-} $- $");
  CHECK(expand("(a)b", "ab", "\\1\\0") == "\\1\\0");
  CHECK(expand("a", "b", "x") == "no match");
  CHECK(expand("a", "a", "") == "");
}

}  // namespace msp
