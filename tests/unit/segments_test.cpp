#include "agent/queue/segments.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "agent/queue/segment_reader.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using Sequences = std::vector<std::uint64_t>;
using Names = std::vector<std::string>;
const auto kSet = test::series_set({"a", "b"});

/// Three segments: 1 to 10, 11 to 20, 21 to 30, the last without a summary.
struct Fixture {
  Fixture() {
    for (std::uint64_t first : {1, 11, 21}) {
      queue::Segments part(1 << 20);
      REQUIRE(take_over(part));
      for (auto sequence = first; sequence < first + 10; ++sequence) append(part, sequence);
      REQUIRE(part.sync());
    }
  }

  Result<queue::Segments::TakenOver> take_over(queue::Segments& segments) {
    return segments.take_over(
        folder, [](auto, auto) { return true; }, 1);
  }
  static void append(queue::Segments& segments, std::uint64_t sequence) {
    const auto time = static_cast<std::int64_t>(sequence);
    REQUIRE(segments.append(
        {sequence, sequence,
         std::make_shared<const metrics::Scrape>(test::scrape(time, kSet, {1, 2})), nullptr},
        1));
  }

  static std::string name(const char* digits) {
    return "00000000000000" + std::string(digits) + ".seg";
  }
  static std::string path(const char* digits) { return "/f/" + name(digits); }

  /// All that a reader gets from the start.
  static Sequences read(const queue::Segments& segments, queue::SegmentReader& reader) {
    Sequences sequences;
    std::uint64_t next = 1;
    while (const auto segment = segments.find(next)) {
      const auto entry = reader.next(*segment, next);
      REQUIRE(entry);
      if (!*entry) {
        next = segment->summary.last_sequence + 1;
        continue;
      }
      CHECK((*entry)->scrape->timestamp_ms == static_cast<std::int64_t>((*entry)->first_sequence));
      REQUIRE((*entry)->first_sequence >= next);
      sequences.push_back((*entry)->first_sequence);
      next = (*entry)->last_sequence + 1;
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
    queue::Segments segments(1 << 20);
    const auto taken = take_over(segments);
    REQUIRE(taken);
    CHECK(segments.count_samples(queue::Offset(1)) == 2 * expected.size());
    CHECK(taken->samples == 2 * expected.size());
    CHECK(taken->damaged_regions == damaged);
    queue::SegmentReader reader;
    CHECK(read(segments, reader) == expected);
    CHECK(reader.take_lost().empty());
    // It goes on behind what there is.
    append(segments, taken->end);
    CHECK(read(segments, reader).size() == expected.size() + 1);
  }

  test::MemoryFileSystem files;
  std::shared_ptr<queue::Folder> folder = *files.open_folder("/f");
};

}  // namespace

TEST_CASE_METHOD(Fixture, "segments are taken over as they were, with or without a summary") {
  check(range({{1, 30}}));
}

TEST_CASE_METHOD(Fixture,
                 "segments whose names were swapped are read in the order of their content") {
  const auto first = files.content(path("01"));
  files.set_content(path("01"), files.content(path("15")));
  files.set_content(path("15"), first);
  queue::Segments segments(1 << 20);
  REQUIRE(take_over(segments));
  queue::SegmentReader reader;
  const auto got = read(segments, reader);
  CHECK(std::is_sorted(got.begin(), got.end()));
  CHECK(got.size() >= 20);  // where both names are taken one is set aside, not written over
}

TEST_CASE_METHOD(Fixture, "a segment spans no gap in which numbers of a disk that is away may be") {
  queue::Segments segments(1 << 20);
  REQUIRE(take_over(segments));
  for (const std::uint64_t sequence : {31, 32, 40, 100'000, 100'001}) append(segments, sequence);
  REQUIRE(segments.sync());
  const auto all = segments.all();
  REQUIRE(all.size() == 5);
  CHECK(all[3].summary.last_sequence == 40);
  CHECK(all[4].summary.first_sequence == 100'000);
}

TEST_CASE_METHOD(Fixture, "a segment under another name gets its own") {
  files.set_content(path("77"), files.content(path("0b")));
  REQUIRE(folder->remove(name("0b")));
  check(range({{1, 30}}));
  CHECK(files.names("/f", ".seg")[1] == "000000000000000b.seg");
}

TEST_CASE_METHOD(Fixture, "a segment that is missing costs its own entries") {
  REQUIRE(folder->remove(name("0b")));
  check(range({{1, 10}, {21, 30}}));
}

TEST_CASE_METHOD(Fixture, "a segment that is there twice is handed out once") {
  files.set_content(path("99"), files.content(path("01")));
  check(range({{1, 30}}), 1);
  CHECK(files.names("/f", ".bad").size() == 1);
}

TEST_CASE_METHOD(Fixture,
                 "segments that overlap, as after a truncate that failed, give each scrape once") {
  Fixture other;
  queue::Segments overlapping(1 << 20);
  const auto elsewhere = *other.files.open_folder("/g");
  REQUIRE(overlapping.take_over(
      elsewhere, [](auto, auto) { return true; }, 1));
  for (std::uint64_t sequence = 26; sequence <= 35; ++sequence) append(overlapping, sequence);
  REQUIRE(overlapping.sync());
  files.set_content(path("1a"), other.files.content("/g/" + name("1a")));
  queue::Segments both(1 << 20);
  const auto taken = take_over(both);
  REQUIRE(taken);
  queue::SegmentReader reader;
  CHECK(read(both, reader) == range({{1, 35}}));
  CHECK(taken->damaged_regions == 0);
}

TEST_CASE_METHOD(Fixture, "files of others are left alone") {
  files.set_content("/f/notes.txt", "hello");
  files.set_content("/f/offsets", "x");
  check(range({{1, 30}}));
  CHECK(files.content("/f/notes.txt") == "hello");
}

TEST_CASE_METHOD(Fixture, "a segment of a newer version is set aside, whole") {
  auto newer = files.content(path("01"));
  newer = [&] {
    auto header = newer.substr(0, queue::kSegmentHeaderSize);
    header[8] = 3;
    std::string record_bytes = header.substr(0, 20);
    queue::ContentHash hash;
    hash.add(record_bytes);
    const auto checksum = static_cast<std::uint32_t>(hash.value());
    record_bytes.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
    return record_bytes + newer.substr(queue::kSegmentHeaderSize);
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
  queue::Segments again(1 << 20);
  REQUIRE(take_over(again));
  CHECK(files.names("/f", ".bad").size() == queue::Segments::kBadFilesMax);
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
  queue::Segments segments(1 << 20);
  REQUIRE(take_over(segments));
  REQUIRE(folder->remove(name("0b")));
  queue::SegmentReader reader;
  CHECK(read(segments, reader) == range({{1, 10}, {21, 30}}));
  const auto lost = reader.take_lost();
  REQUIRE(lost.size() == 1);
  CHECK(lost[0].first == 11);
  CHECK(lost[0].last == 20);
  CHECK(lost[0].samples == 20);
}

TEST_CASE_METHOD(Fixture, "a segment that cannot be opened keeps its place and its numbers") {
  files.fail_reads(path("15"), "Too many open files");
  queue::Segments segments(1 << 20);
  const auto taken = take_over(segments);
  REQUIRE(taken);
  REQUIRE(taken->told.size() == 1);
  CHECK(taken->told[0] == "cannot open " + path("15") + ": Too many open files; it is tried again");
  CHECK(taken->end > 30);
  CHECK(segments.find(25)->name == name("15"));
  CHECK(segments.find(25)->retry_ns == 1);
  files.fail_reads("", "");
  queue::Segments::TakenOver later;
  CHECK(segments.try_unread(1, 2, later));
  CHECK(segments.find(25)->summary.last_sequence == 30);
  CHECK(segments.count_samples(queue::Offset(1)) == 60);
}

}  // namespace msp
