#include "agent/queue/format.h"

#include <catch2/catch.hpp>

#include "agent/queue/bytes.h"
#include "agent/queue/record_scanner.h"

namespace msp {
namespace {

std::string record(const std::string& payload, queue::RecordType type = queue::RecordType::delta) {
  std::string bytes;
  const auto begin = queue::begin_record(bytes);
  bytes += payload;
  queue::end_record(bytes, begin, type);
  return bytes;
}

std::vector<std::string> payloads(queue::RecordScanner& scanner) {
  std::vector<std::string> all;
  while (const auto found = scanner.next()) all.emplace_back(found->payload);
  return all;
}

using Payloads = std::vector<std::string>;

}  // namespace

TEST_CASE("format: integers come back, whatever their size") {
  for (unsigned shift = 0; shift < 64; ++shift) {
    for (const std::uint64_t value : {1ull << shift, (1ull << shift) - 1, ~(1ull << shift)}) {
      std::string bytes;
      queue::append_varint(bytes, value);
      queue::ByteReader reader(bytes);
      CHECK(reader.varint() == value);
      CHECK((reader.ok() && reader.rest().empty()));
      CHECK(queue::unfold_sign(queue::fold_sign(value)) == value);
    }
  }
  CHECK(queue::fold_sign(static_cast<std::uint64_t>(-1)) == 1);
  CHECK(queue::fold_sign(1) == 2);
}

TEST_CASE("format: an integer that does not end, or is cut, is none") {
  for (const auto& bytes : {std::string(), std::string(1, '\x80'), std::string(11, '\xff'),
                            std::string(9, '\xff') + '\x02'}) {
    queue::ByteReader reader(bytes);
    reader.varint();
    CHECK_FALSE(reader.ok());
  }
  queue::ByteReader reader("abc");
  reader.fixed<std::uint32_t>();
  CHECK_FALSE(reader.ok());
}

TEST_CASE("format: a segment header says its first sequence; any damage to it is damage") {
  const auto header = queue::make_segment_header(1234567890123);
  REQUIRE(header.size() == queue::kSegmentHeaderSize);
  const auto parsed = queue::parse_segment_header(header + "records");
  CHECK(parsed.state == queue::SegmentHeader::State::good);
  CHECK(parsed.first_sequence == 1234567890123);
  for (std::size_t bit = 0; bit < header.size() * 8; ++bit) {
    auto damaged = header;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    CHECK(queue::parse_segment_header(damaged).state == queue::SegmentHeader::State::damaged);
  }
  for (std::size_t length = 0; length < header.size(); ++length) {
    CHECK(queue::parse_segment_header(header.substr(0, length)).state ==
          queue::SegmentHeader::State::damaged);
  }
}

TEST_CASE("format: a header of another version is known as such, older or newer") {
  const auto header_of = [](std::uint32_t version) {
    std::string header = "mspqueue";
    queue::append_fixed(header, version);
    queue::append_fixed(header, std::uint64_t{7});
    queue::ContentHash hash;
    hash.add(header);
    queue::append_fixed(header, static_cast<std::uint32_t>(hash.value()));
    return header;
  };
  CHECK(header_of(queue::kFormatVersion) == queue::make_segment_header(7));
  const auto newer = queue::parse_segment_header(header_of(queue::kFormatVersion + 1));
  CHECK(newer.state == queue::SegmentHeader::State::newer_version);
  CHECK(newer.version == queue::kFormatVersion + 1);
  CHECK(newer.first_sequence == 7);
  const auto older = queue::parse_segment_header(header_of(1));
  CHECK(older.state == queue::SegmentHeader::State::older_version);
  CHECK(older.version == 1);
}

TEST_CASE("format: a header that version 1 wrote is an older version's") {
  const std::string header("mspqueue\x01\0\0\0\x07\0\0\0\0\0\0\0\xbe\x63\xe0\x1a", 24);
  CHECK(queue::parse_segment_header(header).state == queue::SegmentHeader::State::older_version);
}

TEST_CASE("format: what earlier builds of this version wrote is still what is written") {
  CHECK(queue::make_segment_header(7).substr(0, 20) ==
        std::string("mspqueue\x02\0\0\0\x07\0\0\0\0\0\0\0", 20));
  CHECK(record("abc") == std::string("\xf7\xfb\xb9\x93\x20\x05\x04\x03\0\0"
                                     "abc",
                                     13));
}

TEST_CASE("format: a summary is read from the end of a segment") {
  const queue::Summary summary{1, 900, 850, 20, 180'000, -5, 1'790'000'000'000, 3};
  auto bytes = queue::make_segment_header(1) + record("x");
  queue::append_summary(summary, bytes);
  CHECK(queue::summary_at_end(bytes) == summary);
  CHECK_FALSE(queue::summary_at_end(bytes + '\0').has_value());
  CHECK_FALSE(queue::summary_at_end(bytes.substr(1, 20)).has_value());
  CHECK_FALSE(queue::summary_at_end(record(std::string(48, 'x'))).has_value());
}

TEST_CASE("format: a lost sequence of a segment counts its average of samples") {
  CHECK(queue::Summary{11, 20, 4, 2, 500, 0, 0, 1}.samples_per_sequence() == 50);
  CHECK(queue::Summary{0, ~0ull, 1, 0, 500, 0, 0, 1}.samples_per_sequence() == 500);
  CHECK(queue::Summary{}.samples_per_sequence() == 0);
}

TEST_CASE("format: what a record counts is read without its values") {
  std::string payload;
  queue::append_varint(payload, 77);
  queue::append_varint(payload, 3);
  queue::append_varint(payload, 5000);
  const auto bytes = record(payload + "...", queue::RecordType::keyframe);
  const auto head = queue::entry_head(*queue::record_at(bytes));
  REQUIRE(head.has_value());
  CHECK((head->first_sequence == 77 && head->last_sequence == 77 && head->samples == 5000));
  const auto request = record(payload + "...", queue::RecordType::request);
  const auto joined = queue::entry_head(*queue::record_at(request));
  REQUIRE(joined.has_value());
  CHECK((joined->first_sequence == 77 && joined->last_sequence == 80 && joined->samples == 5000));
  CHECK_FALSE(queue::entry_head(*queue::record_at(record(payload, queue::RecordType::summary)))
                  .has_value());
  CHECK_FALSE(queue::entry_head(*queue::record_at(record("\x80"))).has_value());
  std::string beyond;
  for (int i = 0; i < 2; ++i) queue::append_varint(beyond, ~0ull);
  queue::append_varint(beyond, 1);
  CHECK_FALSE(
      queue::entry_head(*queue::record_at(record(beyond, queue::RecordType::request))).has_value());
}

TEST_CASE("scanner: records one after the other, and where the last one ends") {
  const auto bytes = "header" + record("one") + record("") + record("three");
  queue::RecordScanner scanner(bytes, 6);
  CHECK(payloads(scanner) == Payloads{"one", "", "three"});
  CHECK(scanner.good_end() == bytes.size());
  CHECK(scanner.damaged_regions() == 0);
  CHECK(scanner.tail_bytes() == 0);
  CHECK_FALSE(scanner.next().has_value());
}

TEST_CASE("scanner: bytes between records are skipped and counted") {
  const auto bytes = record("one") + "garbage" + record("two") + std::string(queue::kRecordMagic) +
                     "!" + record("three");
  queue::RecordScanner scanner(bytes);
  CHECK(payloads(scanner) == Payloads{"one", "two", "three"});
  CHECK(scanner.damaged_regions() == 2);
  CHECK(scanner.damaged_bytes() == 10);
}

TEST_CASE("scanner: a damaged length does not swallow the records behind it") {
  auto bytes = record("one") + record("two") + record("three");
  bytes[record("one").size() + 7] = '\x11';  // beyond the next record
  queue::RecordScanner scanner(bytes);
  CHECK(payloads(scanner) == Payloads{"one", "three"});
  CHECK(scanner.damaged_regions() == 1);
}

TEST_CASE("scanner: a torn or zero-filled end is a tail, not damage") {
  const auto whole = record("one");
  for (const auto& tail :
       {record("two").substr(0, 11), std::string(4096, '\0'), std::string("\xf7")}) {
    const auto bytes = whole + tail;
    queue::RecordScanner scanner(bytes);
    CHECK(payloads(scanner) == Payloads{"one"});
    CHECK(scanner.good_end() == whole.size());
    CHECK(scanner.tail_bytes() == tail.size());
    CHECK(scanner.damaged_regions() == 0);
  }
}

TEST_CASE("scanner: bytes made to look like records do not keep it busy") {
  std::string bytes;
  while (bytes.size() < 200'000) bytes += std::string("\xf7\xfb????\x04\x00\x80\x00", 10);
  queue::RecordScanner scanner(bytes);
  CHECK(payloads(scanner).empty());
  CHECK(scanner.wasted_bytes() > 0);
  CHECK(scanner.wasted_bytes() <= queue::RecordScanner::kWasteMax * bytes.size());
}

}  // namespace msp
