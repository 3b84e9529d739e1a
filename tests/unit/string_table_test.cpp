#include "agent/base/string_table.h"

#include <catch2/catch.hpp>
#include <deque>
#include <string>

namespace msp {

TEST_CASE("strings get numbers in the order in which they are first asked for") {
  StringTable table;
  CHECK(table.number_of("") == 0);
  CHECK(table.number_of("a") == 1);
  CHECK(table.number_of("") == 0);
  CHECK(table.number_of("b") == 2);
  CHECK(table.number_of("a") == 1);
  CHECK(table.strings() == std::vector<std::string_view>{"", "a", "b"});
  table.clear();
  CHECK(table.strings().empty());
  CHECK(table.number_of("b") == 0);
}

TEST_CASE("a table of many strings keeps their numbers while it grows") {
  std::deque<std::string> texts;
  StringTable table;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    CHECK(table.number_of(texts.emplace_back(std::to_string(i))) == i);
    CHECK(table.number_of(std::to_string(i / 2)) == i / 2);
  }
}

}  // namespace msp
