#include "agent/queue/offsets_file.h"

#include <catch2/catch.hpp>

#include "agent/queue/format.h"
#include "tests/support/memory_file_system.h"

namespace msp {
namespace {

queue::Offset with_ranges() {
  queue::Offset offset(7);
  offset.add(9, 12);
  offset.add(20, 20);
  return offset;
}

const queue::Offsets kOffsets{{"http://a/api/v1/write", queue::Offset(18446744073709551615u)},
                              {"with space", queue::Offset(1)},
                              {"with ranges", with_ranges()}};

/// A file with a good checksum.
std::string file_of(const std::string& lines) {
  queue::ContentHash hash;
  hash.add(lines);
  return lines + "checksum " + std::to_string(hash.value()) + "\n";
}

struct Fixture {
  test::MemoryFileSystem files;
  std::shared_ptr<queue::Folder> folder = *files.open_folder("/f");
};

}  // namespace

TEST_CASE_METHOD(Fixture, "offsets come back as they were saved") {
  REQUIRE(queue::save_offsets(*folder, kOffsets));
  REQUIRE(queue::save_offsets(*folder, kOffsets));
  CHECK(queue::load_offsets(*folder).value() == kOffsets);
  CHECK(files.names("/f", "") == std::vector<std::string>{"offsets"});
}

TEST_CASE_METHOD(Fixture, "that there are no offsets yet is not an alarm") {
  const auto loaded = queue::load_offsets(*folder);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().kind == Error::Kind::no_data);
}

TEST_CASE_METHOD(Fixture, "a offset file that is cut or changed anywhere is not believed") {
  REQUIRE(queue::save_offsets(*folder, kOffsets));
  const auto whole = files.content("/f/offsets");
  for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
    INFO("byte " << i);
    files.set_content("/f/offsets", whole.substr(0, i));
    CHECK_FALSE(queue::load_offsets(*folder));
    auto changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    files.set_content("/f/offsets", changed);
    CHECK_FALSE(queue::load_offsets(*folder));
  }
}

TEST_CASE_METHOD(Fixture, "the file is as its header says; version 1, without ranges, is read") {
  REQUIRE(queue::save_offsets(*folder, {{"a b", with_ranges()}}));
  CHECK(files.content("/f/offsets") == file_of("msp-agent offsets 1\n7,9-12,20-20 a b\n"));
  files.set_content("/f/offsets", file_of("msp-agent offsets 1\n1234 a\n5 b c\n"));
  CHECK(queue::load_offsets(*folder).value() ==
        queue::Offsets{{"a", queue::Offset(1234)}, {"b c", queue::Offset(5)}});
}

TEST_CASE_METHOD(Fixture, "offsets of a newer version are kept for it") {
  const auto content = file_of("msp-agent offsets 2\nnew words\n");
  files.set_content("/f/offsets", content);
  const auto loaded = queue::load_offsets(*folder);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().text == "/f/offsets: of a newer version, set aside as /f/offsets.newer");
  REQUIRE(queue::save_offsets(*folder, kOffsets));
  CHECK(files.content("/f/offsets.newer") == content);
}

TEST_CASE_METHOD(Fixture,
                 "a offset file that makes no sense is not believed, though its sum is good") {
  for (const std::string line : {"a", "1", "1 ", "x a", "1,2 a", "1,3-2 a", "1,2-3-4 a",
                                 "1,2-18446744073709551615 a", "-1 a", "1,,5-6 a"}) {
    INFO(line);
    files.set_content("/f/offsets", file_of("msp-agent offsets 1\n" + line + "\n"));
    CHECK_FALSE(queue::load_offsets(*folder));
  }
  for (const std::string first : {"msp-agent offsets 0", "msp-agent offsets", "offsets 2", ""}) {
    INFO(first);
    files.set_content("/f/offsets", file_of(first + "\n1 a\n"));
    CHECK_FALSE(queue::load_offsets(*folder));
  }
  CHECK(files.names("/f", "") == std::vector<std::string>{"offsets"});
}

}  // namespace msp
