#include "agent/run/program_pages.h"

#include <catch2/catch.hpp>
#include <cstdint>

#include "agent/base/file.h"
#include "agent/base/text.h"

namespace msp {
namespace {

/// /proc/self/statm, in pages (proc(5)): size resident shared ...
std::uint64_t resident_file_pages() {
  const auto text = read_file("/proc/self/statm", 4096);
  REQUIRE(text);
  std::string_view rest = *text;
  next_word(rest);
  next_word(rest);
  return parse_number<std::uint64_t>(next_word(rest)).value();
}

}  // namespace

TEST_CASE("program pages: what is not in use is not in memory, and what is comes back") {
  const auto before = resident_file_pages();
  run::release_program_pages();
  CHECK(resident_file_pages() < before);
  CHECK(cat("all", " goes ", "on") == "all goes on");
}

}  // namespace msp
