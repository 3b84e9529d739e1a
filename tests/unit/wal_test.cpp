#include "agent/queue/wal.h"

#include <catch2/catch.hpp>

#include "tests/support/memory_file_system.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using Sequences = std::vector<std::uint64_t>;
const auto kSet = test::series_set({"a", "b"});

struct Fixture {
  Fixture() {
    REQUIRE(files.make_folder("/f"));
    REQUIRE(head.open(files, "/f/head"));
  }

  void append(std::uint64_t sequence) { REQUIRE(head.append(sequence, scrape(sequence))); }
  static Scrape scrape(std::uint64_t sequence) {
    return test::scrape(static_cast<std::int64_t>(sequence), kSet, {1, 2});
  }

  /// As the next process finds them.
  Sequences kept() {
    Wal next;
    REQUIRE(next.open(files, "/f/head"));
    const auto scrapes = next.read();
    REQUIRE(scrapes);
    Sequences sequences;
    for (const auto& stored : *scrapes) {
      CHECK(stored.scrape->values == std::vector<double>{1, 2});
      sequences.push_back(stored.first_sequence);
    }
    return sequences;
  }

  test::MemoryFileSystem files;
  Wal head;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "the head's file holds what was appended until it is cleared") {
  append(1);
  append(2);
  CHECK(kept() == Sequences{1, 2});
  REQUIRE(head.clear());
  CHECK(kept().empty());
  append(3);
  CHECK(kept() == Sequences{3});
}

TEST_CASE_METHOD(Fixture, "clear keeps the dictionary: a good tick is one write and one truncate") {
  append(1);
  REQUIRE(head.clear());
  const auto dictionary = head.bytes();
  CHECK(dictionary > 30);
  for (std::uint64_t sequence = 2; sequence < 20; ++sequence) {
    const auto before = files.changes();
    append(sequence);
    CHECK(head.bytes() < dictionary + 40);
    REQUIRE(head.clear());
    CHECK(head.bytes() == dictionary);
    CHECK(files.changes() == before + 2);
  }
}

TEST_CASE_METHOD(Fixture, "other series make the file start over, not grow") {
  append(1);
  for (std::uint64_t sequence = 2; sequence < 50; ++sequence) {
    const auto set = test::series_set({"a", "device_" + std::to_string(sequence)});
    REQUIRE(head.append(sequence, test::scrape(1, set, {1, 2})));
    REQUIRE(head.clear());
    CHECK(head.bytes() < 400);
  }
  append(50);
  CHECK(kept() == Sequences{50});
}

TEST_CASE_METHOD(Fixture, "a rewrite replaces all or, where it fails, nothing") {
  append(1);
  append(2);
  const auto two = std::make_shared<const Scrape>(scrape(2));
  SECTION("all") {
    REQUIRE(head.rewrite({{2, 2, two, nullptr}}));
    append(3);
    CHECK(kept() == Sequences{2, 3});
  }
  for (int call = 0; call < 5; ++call) {
    DYNAMIC_SECTION("fails at call " << call) {
      files.stop_after(static_cast<std::uint64_t>(call));
      CHECK_FALSE(head.rewrite({{2, 2, two, nullptr}}));
      CHECK_FALSE(head.is_open());
      files.go_on();
      CHECK(kept() == Sequences{1, 2});
    }
  }
}

TEST_CASE_METHOD(Fixture, "a tail torn anywhere costs the last scrape, and what follows is kept") {
  append(1);
  const auto one = head.bytes();
  append(2);
  const auto whole = files.content("/f/head");
  for (std::size_t size = one; size < whole.size(); ++size) {
    INFO(size << " bytes");
    files.set_content("/f/head", whole.substr(0, size));
    CHECK(kept() == Sequences{1});
    Wal next;
    REQUIRE(next.open(files, "/f/head"));
    REQUIRE(next.append(3, scrape(3)));
    CHECK(kept() == Sequences{1, 3});
  }
}

TEST_CASE_METHOD(Fixture,
                 "a file of something else is written over once it has been read in vain") {
  files.set_content("/f/head", std::string(10'000, 'x'));
  CHECK(kept().empty());
  Wal next;
  REQUIRE(next.open(files, "/f/head"));
  REQUIRE(next.append(1, scrape(1)));
  CHECK(kept() == Sequences{1});
}

}  // namespace msp
