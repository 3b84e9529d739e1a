// A segment that was cut, flipped, zeroed or shuffled: what can still be read is the original bit
// for bit, what is lost is bounded and counted.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "agent/queue/bytes.h"
#include "agent/queue/record_scanner.h"
#include "agent/queue/scrape_codec.h"
#include "tests/support/random_scrapes.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using Outcome = queue::ScrapeDecoder::Outcome;

struct Piece {
  std::size_t begin = 0;
  std::size_t end = 0;
  queue::RecordType type{};
  std::uint64_t sequence = 0;  // of a scrape or request
  std::uint64_t stream = 0;    // its number; of a request 0
};

std::uint64_t stream_of(const queue::Record& record) {
  if (record.type == queue::RecordType::summary || record.type == queue::RecordType::request)
    return 0;
  queue::ByteReader reader(record.payload);
  const auto first = reader.varint();
  const bool is_scrape =
      record.type == queue::RecordType::keyframe || record.type == queue::RecordType::delta;
  return is_scrape ? reader.varint() : first;
}

/// A segment and what is in it.
struct Original {
  std::string bytes = queue::make_segment_header(1);
  std::map<std::uint64_t, test::Entry> entries;
  std::vector<Piece> pieces;

  Original(std::uint64_t seed, std::uint64_t count, test::RandomScrapes::Chances chances,
           std::size_t streams = 1, double requests = 0) {
    test::RandomEntries source(seed, streams, chances, requests);
    queue::ScrapeEncoder encoder;
    for (std::uint64_t sequence = 1; sequence <= count; ++sequence) {
      const auto entry = source.next();
      REQUIRE((entry.scrape ? encoder.encode(sequence, *entry.scrape, bytes)
                            : encoder.encode(sequence, sequence, *entry.request, bytes)));
      entries.emplace(sequence, entry);
    }
    queue::append_summary({1, count, count, 0, 0, 0, 0, 1}, bytes);
    queue::RecordScanner scanner(bytes, queue::kSegmentHeaderSize);
    while (const auto record = scanner.next()) {
      const auto head = queue::entry_head(*record);
      pieces.push_back({scanner.good_end() - record->size(), scanner.good_end(), record->type,
                        head ? head->first_sequence : 0, stream_of(*record)});
    }
  }

  /// The piece that the byte at `at` is in.
  std::size_t piece_at(std::size_t at) const {
    std::size_t i = 0;
    while (pieces[i].end <= at) ++i;
    return i;
  }

  /// The entries that need piece `i`, of its stream: a scrape's own and, up to the next keyframe,
  /// those behind it; for a dictionary, those up to the next full one. A change is both.
  std::set<std::uint64_t> need(std::size_t i) const {
    std::set<std::uint64_t> all;
    const auto type = pieces[i].type;
    if (type == queue::RecordType::summary) return all;
    if (pieces[i].sequence != 0) all.insert(pieces[i].sequence);
    if (type == queue::RecordType::request) return all;
    const bool is_scrape = pieces[i].sequence != 0;
    for (auto next = i + 1; next < pieces.size(); ++next) {
      if (pieces[next].stream != pieces[i].stream) continue;
      if (pieces[next].type ==
          (is_scrape ? queue::RecordType::keyframe : queue::RecordType::dictionary))
        break;
      if (pieces[next].sequence != 0) all.insert(pieces[next].sequence);
    }
    return all;
  }
};

struct Read {
  std::set<std::uint64_t> sequences;
  std::uint64_t refused = 0;
  std::uint64_t damaged_regions = 0;
  std::uint64_t damaged_bytes = 0;
  std::size_t tail_bytes = 0;
  bool is_true = true;  // nothing that was not in the original
};

Read read(const std::string& bytes, const Original& original) {
  Read result;
  queue::ScrapeDecoder decoder;
  queue::RecordScanner scanner(bytes, queue::kSegmentHeaderSize);
  while (const auto record = scanner.next()) {
    queue::ScrapeDecoder::Decoded decoded;
    const auto outcome = decoder.feed(*record, &decoded);
    if (outcome == Outcome::scrape || outcome == Outcome::request) {
      const auto found = original.entries.find(decoded.first_sequence);
      result.is_true = result.is_true && found != original.entries.end() &&
                       decoded.last_sequence == decoded.first_sequence &&
                       test::is_same(decoded, found->second);
      result.sequences.insert(decoded.first_sequence);
    } else if (outcome != Outcome::none) {
      ++result.refused;
    }
  }
  result.damaged_regions = scanner.damaged_regions();
  result.damaged_bytes = scanner.damaged_bytes();
  result.tail_bytes = scanner.tail_bytes();
  return result;
}

std::set<std::uint64_t> lost(const Original& original, const Read& result) {
  std::set<std::uint64_t> all;
  for (const auto& [sequence, entry] : original.entries) {
    if (!result.sequences.contains(sequence)) all.insert(sequence);
  }
  return all;
}

const test::RandomScrapes::Chances kLively{0.03, 0.03, 0.05, 25};

}  // namespace

TEST_CASE("damage: a segment cut at any byte yields every scrape that was whole") {
  const Original original(11, 100, kLively, 3, 0.1);
  for (std::size_t length = 0; length <= original.bytes.size(); ++length) {
    const auto result = read(original.bytes.substr(0, length), original);
    std::uint64_t whole = 0;
    std::size_t good_end = std::min(length, queue::kSegmentHeaderSize);
    for (const auto& piece : original.pieces) {
      if (piece.end > length) break;
      good_end = piece.end;
      if (piece.sequence != 0) ++whole;
    }
    CAPTURE(length);
    REQUIRE(result.is_true);
    REQUIRE(result.sequences.size() == whole);
    REQUIRE(result.refused == 0);
    REQUIRE(result.damaged_regions == 0);
    REQUIRE(result.tail_bytes == length - good_end);
  }
}

TEST_CASE(
    "damage: a byte or a bit that flips costs exactly what needs its record, and is counted") {
  const Original original(12, 90, kLively, 2, 0.05);
  std::size_t most = 0;
  for (std::size_t at = queue::kSegmentHeaderSize; at < original.bytes.size(); ++at) {
    const auto i = original.piece_at(at);
    const auto& piece = original.pieces[i];
    const auto need = original.need(i);
    for (const int mask : {0xff, 1 << at % 8}) {
      auto bytes = original.bytes;
      bytes[at] = static_cast<char>(bytes[at] ^ mask);
      const auto result = read(bytes, original);
      CAPTURE(at, mask, static_cast<int>(piece.type));
      REQUIRE(result.is_true);
      const auto gone = lost(original, result);
      REQUIRE(std::includes(need.begin(), need.end(), gone.begin(), gone.end()));
      if (piece.sequence != 0) {
        REQUIRE(gone == need);
        most = std::max(most, gone.size());
      }
      const bool is_last = i + 1 == original.pieces.size();
      REQUIRE(result.damaged_regions == (is_last ? 0 : 1));
      REQUIRE((is_last ? result.tail_bytes : result.damaged_bytes) == piece.end - piece.begin);
    }
  }
  CHECK(most <= queue::kKeyframeEvery);
  CHECK(most > 1);
}

TEST_CASE("damage: every bit of a small segment") {
  const Original original(13, 16, {0.1, 0.1, 0.1, 8}, 3, 0.1);
  for (std::size_t bit = 0; bit < original.bytes.size() * 8; ++bit) {
    auto bytes = original.bytes;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    CAPTURE(bit);
    REQUIRE(read(bytes, original).is_true);
  }
}

TEST_CASE("damage: a damaged dictionary costs nothing to a reader who holds it") {
  const Original original(14, 40, {0, 0, 0.1, 25});
  REQUIRE(original.pieces.front().type == queue::RecordType::dictionary);
  auto bytes = original.bytes;
  bytes[original.pieces.front().begin + 20] ^= 1;

  std::uint64_t scrapes = 0;
  queue::ScrapeDecoder decoder;
  for (const auto& segment : {original.bytes, bytes}) {
    scrapes = 0;
    queue::RecordScanner scanner(segment, queue::kSegmentHeaderSize);
    while (const auto record = scanner.next()) {
      scrapes += decoder.feed(*record, nullptr) == Outcome::scrape ? 1 : 0;
    }
  }
  CHECK(scrapes == 40);
}

TEST_CASE("damage: a zero-filled tail is a tail") {
  const Original original(15, 60, kLively, 3, 0.1);
  for (const std::size_t zeros : {1, 9, 511, 4096, 100'000}) {
    const auto result = read(original.bytes + std::string(zeros, '\0'), original);
    CHECK((result.is_true && result.sequences.size() == 60 && result.tail_bytes == zeros));
  }
  // Size of a file that reached the disk before its data did.
  for (const auto& piece : original.pieces) {
    auto bytes = original.bytes;
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(piece.begin + 5), bytes.end(), '\0');
    const auto result = read(bytes, original);
    CHECK(
        (result.is_true && result.refused == 0 && result.tail_bytes == bytes.size() - piece.begin));
  }
}

TEST_CASE("damage: blocks that read as zero or as something else") {
  for (const auto seed : test::seeds(300)) {
    CAPTURE(seed);
    static const Original original(16, 150, kLively, 4, 0.1);
    test::RandomScrapes random(seed);
    auto bytes = original.bytes;
    const auto begin = random.below(bytes.size());
    const auto end = std::min<std::size_t>(bytes.size(), begin + 1 + random.below(2000));
    const bool zero = random.chance(0.5);
    for (auto at = begin; at < end; ++at)
      bytes[at] = zero ? '\0' : static_cast<char>(random.random()());
    REQUIRE(read(bytes, original).is_true);
  }
}

TEST_CASE("damage: garbage between records costs nothing but itself") {
  const Original original(17, 80, kLively, 3, 0.1);
  test::RandomScrapes random(17);
  std::string bytes = original.bytes.substr(0, queue::kSegmentHeaderSize);
  std::size_t garbage = 0;
  for (const auto& piece : original.pieces) {
    for (auto left = random.below(60); left > 0; --left, ++garbage) {
      bytes +=
          random.chance(0.2) ? queue::kRecordMagic[left % 2] : static_cast<char>(random.random()());
    }
    bytes.append(original.bytes, piece.begin, piece.end - piece.begin);
  }
  const auto result = read(bytes, original);
  CHECK((result.is_true && result.sequences.size() == 80));
  CHECK(result.damaged_bytes == garbage);
}

TEST_CASE("damage: records swapped, duplicated or missing invent nothing") {
  const Original original(18, 60, kLively, 3, 0.1);
  for (const auto seed : test::seeds(300)) {
    CAPTURE(seed);
    test::RandomScrapes random(seed);
    auto pieces = original.pieces;
    for (auto left = 1 + random.below(4); left > 0; --left) {
      const auto a = static_cast<std::ptrdiff_t>(random.below(pieces.size()));
      const auto b = static_cast<std::ptrdiff_t>(random.below(pieces.size()));
      switch (random.below(3)) {
        case 0:
          std::swap(pieces[static_cast<std::size_t>(a)], pieces[static_cast<std::size_t>(b)]);
          break;
        case 1:
          pieces.insert(pieces.begin() + a, pieces[static_cast<std::size_t>(b)]);
          break;
        default:
          pieces.erase(pieces.begin() + a);
      }
    }
    std::string bytes = original.bytes.substr(0, queue::kSegmentHeaderSize);
    for (const auto& piece : pieces)
      bytes.append(original.bytes, piece.begin, piece.end - piece.begin);
    REQUIRE(read(bytes, original).is_true);
  }
}

TEST_CASE("damage: a record written twice is no damage to those behind it") {
  const Original original(19, 60, {0, 0, 0.1, 25}, 3, 0.1);
  for (const auto& twice : original.pieces) {
    std::string bytes = original.bytes;
    bytes.insert(twice.end, original.bytes, twice.begin, twice.end - twice.begin);
    const auto result = read(bytes, original);
    CHECK((result.is_true && result.sequences.size() == 60));
  }
}

TEST_CASE("damage: records of one segment in another invent nothing") {
  // As where a file system gives back blocks of a file that was there before: the numbers of the
  // streams are the same, and mean others.
  const Original original(20, 80, {0.03, 0, 0.05, 12}, 3, 0.05);
  const Original stranger(21, 80, {0.03, 0, 0.05, 12}, 3, 0.05);
  for (const auto seed : test::seeds(300)) {
    CAPTURE(seed);
    test::RandomScrapes random(seed);
    auto bytes = original.bytes.substr(0, queue::kSegmentHeaderSize);
    for (std::size_t i = 0; i < original.pieces.size(); ++i) {
      const bool is_strange = random.chance(0.2) && i < stranger.pieces.size();
      const auto& source = is_strange ? stranger : original;
      const auto& piece = source.pieces[i];
      bytes.append(source.bytes, piece.begin, piece.end - piece.begin);
    }
    queue::ScrapeDecoder decoder;
    queue::RecordScanner scanner(bytes, queue::kSegmentHeaderSize);
    while (const auto record = scanner.next()) {
      queue::ScrapeDecoder::Decoded decoded;
      static_cast<void>(decoder.feed(*record, &decoded));
      if (!decoded.scrape && !decoded.request) continue;
      const auto is_in = [&](const Original& source) {
        const auto found = source.entries.find(decoded.first_sequence);
        return found != source.entries.end() && test::is_same(decoded, found->second);
      };
      REQUIRE((is_in(original) || is_in(stranger)));
    }
  }
}

TEST_CASE("damage: a stream loses nothing to damage in another one") {
  const Original original(22, 120, kLively, 3, 0.1);
  for (std::size_t i = 0; i < original.pieces.size(); ++i) {
    const auto& gone = original.pieces[i];
    auto bytes = original.bytes;
    bytes.erase(gone.begin, gone.end - gone.begin);
    const auto result = read(bytes, original);
    REQUIRE(result.is_true);
    for (const auto sequence : lost(original, result)) {
      const auto piece =
          std::find_if(original.pieces.begin(), original.pieces.end(),
                       [&](const Piece& candidate) { return candidate.sequence == sequence; });
      REQUIRE(piece->stream == gone.stream);
    }
  }
}

}  // namespace msp
