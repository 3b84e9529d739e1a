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

TEST_CASE("pattern: groups of a whole match, as Prometheus' relabelling has them") {
  using Groups = std::vector<std::string>;
  const auto groups = [](std::string_view regex, std::string_view text) {
    const auto found = groups_of_whole(regex, text);
    REQUIRE(found.has_value());
    return found->value_or(Groups{"no match"});
  };
  CHECK(groups("(.*)", "a;b") == Groups{"a;b", "a;b"});
  CHECK(groups("a|ab", "ab") == Groups{"ab"});
  CHECK(groups("(a)|(b)", "b") == Groups{"b", "", "b"});
  CHECK(groups("b", "abc") == Groups{"no match"});
  CHECK(groups("", "") == Groups{""});
  CHECK(groups("", "a") == Groups{"no match"});
  CHECK_FALSE(groups_of_whole("(", "a").has_value());
}

}  // namespace msp
