#include "agent/queue/cursors.h"

#include <catch2/catch.hpp>

#include "agent/queue/format.h"
#include "tests/support/memory_file_system.h"

namespace msp {
namespace {

Acknowledged with_ranges() {
  Acknowledged acknowledged(7);
  acknowledged.add(9, 12);
  acknowledged.add(20, 20);
  return acknowledged;
}

const Cursors kCursors{{"http://a/api/v1/write", Acknowledged(18446744073709551615u)},
                       {"with space", Acknowledged(1)},
                       {"with ranges", with_ranges()}};

/// A file with a good checksum.
std::string file_of(const std::string& lines) {
  ContentHash hash;
  hash.add(lines);
  return lines + "checksum " + std::to_string(hash.value()) + "\n";
}

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

TEST_CASE_METHOD(Fixture, "the file is as its header says; version 1, without ranges, is read") {
  REQUIRE(save_cursors(files, "/f", {{"a b", with_ranges()}}));
  CHECK(files.content("/f/cursors") == file_of("msp-agent cursors 2\n7,9-12,20-20 a b\n"));
  files.set_content("/f/cursors", file_of("msp-agent cursors 1\n1234 a\n5 b c\n"));
  CHECK(load_cursors(files, "/f").value() ==
        Cursors{{"a", Acknowledged(1234)}, {"b c", Acknowledged(5)}});
}

TEST_CASE_METHOD(Fixture, "cursors of a newer version are kept for it") {
  const auto content = file_of("msp-agent cursors 3\nnew words\n");
  files.set_content("/f/cursors", content);
  const auto loaded = load_cursors(files, "/f");
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().text == "/f/cursors: of a newer version, set aside as /f/cursors.newer");
  REQUIRE(save_cursors(files, "/f", kCursors));
  CHECK(files.content("/f/cursors.newer") == content);
}

TEST_CASE_METHOD(Fixture,
                 "a cursor file that makes no sense is not believed, though its sum is good") {
  for (const std::string line : {"a", "1", "1 ", "x a", "1,2 a", "1,3-2 a", "1,2-3-4 a",
                                 "1,2-18446744073709551615 a", "-1 a", "1,,5-6 a"}) {
    INFO(line);
    files.set_content("/f/cursors", file_of("msp-agent cursors 2\n" + line + "\n"));
    CHECK_FALSE(load_cursors(files, "/f"));
  }
  for (const std::string first : {"msp-agent cursors 0", "msp-agent cursors", "cursors 2", ""}) {
    INFO(first);
    files.set_content("/f/cursors", file_of(first + "\n1 a\n"));
    CHECK_FALSE(load_cursors(files, "/f"));
  }
  CHECK(files.names("/f", "") == std::vector<std::string>{"cursors"});
}

}  // namespace msp
