#include "agent/buffer/cursors.h"

#include <catch2/catch.hpp>

#include "agent/buffer/format.h"
#include "tests/support/memory_file_system.h"

namespace msp {
namespace {

const Cursors kCursors{{"http://a/api/v1/write", 18446744073709551615u}, {"with space", 1}};

struct Fixture {
  Fixture() { REQUIRE(files.make_folder("/f")); }
  test::MemoryFileSystem files;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "cursors come back as they were saved") {
  REQUIRE(save_cursors(files, "/f", kCursors));
  REQUIRE(save_cursors(files, "/f", kCursors));
  CHECK(load_cursors(files, "/f").value() == kCursors);
  CHECK(files.names("/f", "") == std::vector<std::string>{"cursors"});
}

TEST_CASE_METHOD(Fixture, "that there are no cursors yet is not an alarm") {
  const auto loaded = load_cursors(files, "/f");
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().kind == Error::Kind::no_data);
}

TEST_CASE_METHOD(Fixture, "a cursor file that is cut or changed anywhere is not believed") {
  REQUIRE(save_cursors(files, "/f", kCursors));
  const auto whole = files.content("/f/cursors");
  for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
    INFO("byte " << i);
    files.set_content("/f/cursors", whole.substr(0, i));
    CHECK_FALSE(load_cursors(files, "/f"));
    auto changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    files.set_content("/f/cursors", changed);
    CHECK_FALSE(load_cursors(files, "/f"));
  }
}

TEST_CASE_METHOD(Fixture, "cursors of another version are named as such") {
  const std::string lines = "msp-agent cursors 2\n1 a\n";
  ContentHash hash;
  hash.add(lines);
  files.set_content("/f/cursors", lines + "checksum " + std::to_string(hash.value()) + "\n");
  const auto loaded = load_cursors(files, "/f");
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().text == "/f/cursors: of another version");
}

}  // namespace msp
