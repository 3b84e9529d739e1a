#include "agent/queue/store.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "agent/queue/store_reader.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using Sequences = std::vector<std::uint64_t>;
using Names = std::vector<std::string>;
const auto kSet = test::series_set({"a", "b"});

/// A store of three segments: 1 to 10, 11 to 20, 21 to 30, the last without a summary.
struct Fixture {
  Fixture() {
    for (std::uint64_t first : {1, 11, 21}) {
      Store part(files, "/f", 1 << 20);
      REQUIRE(part.open());
      for (auto sequence = first; sequence < first + 10; ++sequence) {
        REQUIRE(part.append(sequence, test::scrape(static_cast<int>(sequence), kSet, {1, 2})));
      }
      REQUIRE(part.sync());
    }
  }

  static std::string path(const char* digits) {
    return "/f/00000000000000" + std::string(digits) + ".seg";
  }

  /// All that a reader gets from the start.
  static Sequences read(const Store& store, StoreReader& reader) {
    Sequences sequences;
    std::uint64_t next = 1;
    while (const auto stored = reader.next(store, next)) {
      CHECK(stored->scrape->timestamp_ms == static_cast<std::int64_t>(stored->first_sequence));
      REQUIRE(stored->first_sequence >= next);
      sequences.push_back(stored->first_sequence);
      next = stored->first_sequence + 1;
    }
    return sequences;
  }

  static Sequences range(std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> parts) {
    Sequences all;
    for (const auto& [from, to] : parts) {
      for (auto i = from; i <= to; ++i) all.push_back(i);
    }
    return all;
  }

  void check(const Sequences& expected, std::uint64_t damaged = 0) {
    Store store(files, "/f", 1 << 20);
    REQUIRE(store.open());
    CHECK(store.count_samples(Acknowledged(1)) == 2 * expected.size());
    CHECK(store.damaged() == damaged);
    StoreReader reader;
    CHECK(read(store, reader) == expected);
    CHECK(reader.damaged() == 0);
    CHECK(reader.take_lost().empty());
    // It goes on behind what there is.
    const auto next = store.last_sequence() + 1;
    REQUIRE(store.append(next, test::scrape(static_cast<int>(next), kSet, {1, 2})));
    CHECK(read(store, reader).size() == expected.size() + 1);
  }

  test::MemoryFileSystem files;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a store is taken over as it was, with or without a summary") {
  check(range({{1, 30}}));
}

TEST_CASE_METHOD(Fixture,
                 "segments whose names were swapped are read in the order of their content") {
  const auto first = files.content(path("01"));
  files.set_content(path("01"), files.content(path("15")));
  files.set_content(path("15"), first);
  Store store(files, "/f", 1 << 20);
  REQUIRE(store.open());
  StoreReader reader;
  const auto got = read(store, reader);
  CHECK(std::is_sorted(got.begin(), got.end()));
  CHECK(got.size() >= 20);  // where both names are taken one is set aside, not written over
}

TEST_CASE_METHOD(Fixture, "a segment under another name gets its own") {
  files.set_content(path("77"), files.content(path("0b")));
  REQUIRE(files.remove(path("0b")));
  check(range({{1, 30}}));
  CHECK(files.names("/f", ".seg")[1] == "000000000000000b.seg");
}

TEST_CASE_METHOD(Fixture, "a segment that is missing costs its own scrapes, and is told") {
  REQUIRE(files.remove(path("0b")));
  check(range({{1, 10}, {21, 30}}));
  Store store(files, "/f", 1 << 20);
  REQUIRE(store.open());
  CHECK(store.holes() == std::vector<Acknowledged::Range>{{11, 20}});
}

TEST_CASE_METHOD(Fixture, "a segment that is there twice is handed out once") {
  files.set_content(path("99"), files.content(path("01")));
  check(range({{1, 30}}), 1);
  CHECK(files.names("/f", ".bad").size() == 1);
}

TEST_CASE_METHOD(Fixture,
                 "segments that overlap, as after a truncate that failed, give each scrape once") {
  test::MemoryFileSystem other;
  Store overlapping(other, "/f", 1 << 20);
  REQUIRE(overlapping.open());
  for (std::uint64_t sequence = 26; sequence <= 35; ++sequence) {
    REQUIRE(overlapping.append(sequence, test::scrape(static_cast<int>(sequence), kSet, {1, 2})));
  }
  files.set_content(path("1a"), other.content(path("1a")));
  Store both(files, "/f", 1 << 20);
  REQUIRE(both.open());
  StoreReader reader;
  CHECK(read(both, reader) == range({{1, 35}}));
  CHECK(both.damaged() == 0);
}

TEST_CASE_METHOD(Fixture, "files of others are left alone") {
  files.set_content("/f/notes.txt", "hello");
  files.set_content("/f/cursors", "x");
  check(range({{1, 30}}));
  CHECK(files.content("/f/notes.txt") == "hello");
}

TEST_CASE_METHOD(Fixture, "a segment of a newer version is set aside, whole") {
  auto newer = files.content(path("01"));
  newer = [&] {
    auto header = newer.substr(0, kSegmentHeaderSize);
    header[8] = 3;
    std::string record_bytes = header.substr(0, 20);
    ContentHash hash;
    hash.add(record_bytes);
    const auto checksum = static_cast<std::uint32_t>(hash.value());
    record_bytes.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
    return record_bytes + newer.substr(kSegmentHeaderSize);
  }();
  files.set_content(path("01"), newer);
  check(range({{11, 30}}), 1);
  CHECK(files.content(path("01") + ".newer") == newer);
}

TEST_CASE_METHOD(Fixture, "what cannot be read is set aside, and only the newest few are kept") {
  for (char digit = '0'; digit <= '9'; ++digit) {
    files.set_content("/f/000000000000030" + std::string(1, digit) + ".seg",
                      std::string(500, digit));
  }
  files.set_content("/f/0000000000000400.seg", "");
  check(range({{1, 30}}), 10);
  CHECK(files.names("/f", ".bad").size() == Store::kBadFilesMax);
  CHECK(files.names("/f", ".bad").back() == "0000000000000309.seg.bad");
  CHECK(files.content("/f/0000000000000400.seg").empty());
}

TEST_CASE_METHOD(Fixture, "a file too large to be a segment is not read into memory") {
  auto content = std::string((64 << 20) + 1, '\0');
  files.set_content("/f/0000000000000300.seg", std::move(content));
  check(range({{1, 30}}), 1);
}

TEST_CASE_METHOD(Fixture, "a torn tail of the newest segment costs the scrape it is in") {
  const auto whole = files.content(path("15"));
  files.set_content(path("15"), whole.substr(0, whole.size() - 1));
  check(range({{1, 29}}));
}

TEST_CASE_METHOD(Fixture, "a segment that vanishes while it is needed is counted, in samples") {
  Store store(files, "/f", 1 << 20);
  REQUIRE(store.open());
  REQUIRE(files.remove(path("0b")));
  StoreReader reader;
  CHECK(read(store, reader) == range({{1, 10}, {21, 30}}));
  CHECK(reader.damaged() == 1);
  const auto lost = reader.take_lost();
  REQUIRE(lost.size() == 1);
  CHECK(lost[0].first == 11);
  CHECK(lost[0].last == 20);
  CHECK(lost[0].samples_per_scrape == 2);
}

}  // namespace msp
