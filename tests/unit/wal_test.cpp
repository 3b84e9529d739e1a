#include "agent/queue/wal.h"

#include <catch2/catch.hpp>

#include "tests/support/memory_file_system.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using Sequences = std::vector<std::uint64_t>;
const auto kSet = test::series_set({"a", "b"});

struct Fixture {
  Fixture() { REQUIRE(wal.open(folder)); }

  static queue::Entry entry(std::uint64_t sequence,
                            std::shared_ptr<const metrics::SeriesSet> set = kSet) {
    const auto timestamp_ms = static_cast<std::int64_t>(sequence);
    return {
        sequence, sequence,
        std::make_shared<const metrics::Scrape>(test::scrape(timestamp_ms, std::move(set), {1, 2})),
        nullptr};
  }
  void append(std::uint64_t sequence) { REQUIRE(wal.append(entry(sequence))); }

  /// As the next process finds it.
  queue::Wal::Content content() {
    queue::Wal next;
    REQUIRE(next.open(folder));
    auto read = next.read();
    REQUIRE(read);
    return std::move(*read);
  }
  Sequences kept() {
    Sequences sequences;
    for (const auto& stored : content().entries) {
      CHECK(stored.scrape->values == std::vector<double>{1, 2});
      sequences.push_back(stored.first_sequence);
    }
    return sequences;
  }

  test::MemoryFileSystem files;
  std::shared_ptr<queue::Folder> folder = *files.open_folder("/f");
  queue::Wal wal;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "the log holds what was appended, and what each consumer is done with") {
  append(1);
  append(2);
  REQUIRE(wal.append_done("a b", 1, 2));
  append(3);
  REQUIRE(wal.append_done("c", 2, 2));
  REQUIRE(wal.append_done("a b", 3, 3));
  CHECK(kept() == Sequences{1, 2, 3});
  const auto done = content().done;
  CHECK(done.size() == 2);
  CHECK(done.at("a b").count(0, 10) == 3);
  CHECK(done.at("c").count(0, 10) == 1);
  CHECK(done.at("c").contains(2));
}

TEST_CASE_METHOD(Fixture,
                 "a tick is one write; series that change do not make the log start over") {
  append(1);
  for (std::uint64_t sequence = 2; sequence < 20; ++sequence) {
    const auto before = files.changes();
    const auto set = test::series_set({"a", "device_" + std::to_string(sequence)});
    REQUIRE(wal.append(entry(sequence, set)));
    CHECK(files.changes() == before + 1);
  }
  CHECK(kept().size() == 19);
}

TEST_CASE_METHOD(Fixture, "a rewrite replaces all or, where it fails, nothing") {
  append(1);
  append(2);
  SECTION("all") {
    REQUIRE(wal.rewrite({entry(2)}, {{"a", queue::Offset(2)}}));
    append(3);
    CHECK(kept() == Sequences{2, 3});
    CHECK(content().done.at("a").next() == 2);
  }
  SECTION("by nothing: what follows stands without what was before") {
    REQUIRE(wal.rewrite({}, {}));
    append(3);
    CHECK(kept() == Sequences{3});
  }
  for (int call = 0; call < 4; ++call) {
    DYNAMIC_SECTION("fails at call " << call) {
      files.stop_after(static_cast<std::uint64_t>(call));
      CHECK_FALSE(wal.rewrite({entry(2)}, {}));
      CHECK_FALSE(wal.is_open());
      files.go_on();
      CHECK(kept() == Sequences{1, 2});
    }
  }
}

TEST_CASE_METHOD(Fixture, "a tail torn anywhere costs the last entry, and what follows is kept") {
  append(1);
  const auto one = wal.bytes();
  append(2);
  const auto whole = files.content("/f/wal");
  for (std::size_t size = one; size < whole.size(); ++size) {
    INFO(size << " bytes");
    files.set_content("/f/wal", whole.substr(0, size));
    CHECK(kept() == Sequences{1});
    queue::Wal next;
    REQUIRE(next.open(folder));
    REQUIRE(next.append(entry(3)));
    CHECK(kept() == Sequences{1, 3});
  }
}

TEST_CASE_METHOD(Fixture, "a file of something else holds nothing, and is written over in time") {
  files.set_content("/f/wal", std::string(10'000, 'x'));
  CHECK(kept().empty());
  queue::Wal next;
  REQUIRE(next.open(folder));
  REQUIRE(next.append(entry(1)));
  CHECK(kept() == Sequences{1});
}

TEST_CASE_METHOD(Fixture, "damage in the middle is counted and costs no more than it must") {
  append(1);
  const auto one = wal.bytes();
  append(2);
  append(3);
  auto bytes = files.content("/f/wal");
  bytes[one + 15] = static_cast<char>(bytes[one + 15] ^ 1);
  files.set_content("/f/wal", bytes);
  CHECK(kept() == Sequences{1, 3});
  CHECK(content().damaged_regions == 1);
}

}  // namespace msp
