// A segment that was cut, flipped, zeroed or shuffled: what can still be read is the original bit
// for bit, what is lost is bounded and counted.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "agent/queue/record_scanner.h"
#include "agent/queue/scrape_codec.h"
#include "tests/support/random_scrapes.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using Outcome = ScrapeDecoder::Outcome;

struct Piece {
  std::size_t begin = 0;
  std::size_t end = 0;
  RecordType type{};
  std::uint64_t sequence = 0;  // of a scrape
};

/// A segment and what is in it.
struct Original {
  std::string bytes = make_segment_header(1);
  std::map<std::uint64_t, Scrape> scrapes;
  std::vector<Piece> pieces;

  Original(std::uint64_t seed, std::uint64_t count, test::RandomScrapes::Chances chances) {
    test::RandomScrapes source(seed, chances);
    ScrapeEncoder encoder;
    for (std::uint64_t sequence = 1; sequence <= count; ++sequence) {
      const auto scrape = source.next();
      REQUIRE(encoder.encode(sequence, scrape, bytes));
      scrapes.emplace(sequence, scrape);
    }
    append_summary({1, count, count, 0, 0, 0}, bytes);
    RecordScanner scanner(bytes, kSegmentHeaderSize);
    while (const auto record = scanner.next()) {
      const auto head = scrape_head(*record);
      pieces.push_back({scanner.good_end() - record->size(), scanner.good_end(), record->type,
                        head ? head->sequence : 0});
    }
  }

  /// The piece that the byte at `at` is in.
  std::size_t piece_at(std::size_t at) const {
    std::size_t i = 0;
    while (pieces[i].end <= at) ++i;
    return i;
  }

  /// The scrapes that need piece `i`: a scrape's own and, up to the next keyframe, those behind it;
  /// for a dictionary, those up to the next full one.
  std::set<std::uint64_t> need(std::size_t i) const {
    std::set<std::uint64_t> all;
    const auto type = pieces[i].type;
    const bool is_scrape = type == RecordType::keyframe || type == RecordType::delta;
    if (type == RecordType::summary) return all;
    if (is_scrape) all.insert(pieces[i].sequence);
    for (auto next = i + 1; next < pieces.size(); ++next) {
      if (pieces[next].type == (is_scrape ? RecordType::keyframe : RecordType::dictionary)) break;
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
  ScrapeDecoder decoder;
  RecordScanner scanner(bytes, kSegmentHeaderSize);
  while (const auto record = scanner.next()) {
    ScrapeDecoder::Decoded decoded;
    const auto outcome = decoder.feed(*record, &decoded);
    if (outcome == Outcome::scrape) {
      const auto found = original.scrapes.find(decoded.sequence);
      result.is_true = result.is_true && found != original.scrapes.end() &&
                       test::is_same(*decoded.scrape, found->second);
      result.sequences.insert(decoded.sequence);
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
  for (const auto& [sequence, scrape] : original.scrapes) {
    if (!result.sequences.contains(sequence)) all.insert(sequence);
  }
  return all;
}

const test::RandomScrapes::Chances kLively{0.03, 0.03, 0.05, 25};

}  // namespace

TEST_CASE("damage: a segment cut at any byte yields every scrape that was whole") {
  const Original original(11, 100, kLively);
  for (std::size_t length = 0; length <= original.bytes.size(); ++length) {
    const auto result = read(original.bytes.substr(0, length), original);
    std::uint64_t whole = 0;
    std::size_t good_end = std::min(length, kSegmentHeaderSize);
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
  const Original original(12, 70, kLively);
  std::size_t most = 0;
  for (std::size_t at = kSegmentHeaderSize; at < original.bytes.size(); ++at) {
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
  CHECK(most <= kKeyframeEvery);
  CHECK(most > 1);
}

TEST_CASE("damage: every bit of a small segment") {
  const Original original(13, 12, {0.1, 0.1, 0.1, 8});
  for (std::size_t bit = 0; bit < original.bytes.size() * 8; ++bit) {
    auto bytes = original.bytes;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    CAPTURE(bit);
    REQUIRE(read(bytes, original).is_true);
  }
}

TEST_CASE("damage: a damaged dictionary costs nothing to a reader who holds it") {
  const Original original(14, 40, {0, 0, 0.1, 25});
  REQUIRE(original.pieces.front().type == RecordType::dictionary);
  auto bytes = original.bytes;
  bytes[original.pieces.front().begin + 20] ^= 1;

  std::uint64_t scrapes = 0;
  ScrapeDecoder decoder;
  for (const auto& segment : {original.bytes, bytes}) {
    scrapes = 0;
    RecordScanner scanner(segment, kSegmentHeaderSize);
    while (const auto record = scanner.next()) {
      scrapes += decoder.feed(*record, nullptr) == Outcome::scrape ? 1 : 0;
    }
  }
  CHECK(scrapes == 40);
}

TEST_CASE("damage: a zero-filled tail is a tail") {
  const Original original(15, 60, kLively);
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
    static const Original original(16, 150, kLively);
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
  const Original original(17, 80, kLively);
  test::RandomScrapes random(17);
  std::string bytes = original.bytes.substr(0, kSegmentHeaderSize);
  std::size_t garbage = 0;
  for (const auto& piece : original.pieces) {
    for (auto left = random.below(60); left > 0; --left, ++garbage) {
      bytes += random.chance(0.2) ? kRecordMagic[left % 2] : static_cast<char>(random.random()());
    }
    bytes.append(original.bytes, piece.begin, piece.end - piece.begin);
  }
  const auto result = read(bytes, original);
  CHECK((result.is_true && result.sequences.size() == 80));
  CHECK(result.damaged_bytes == garbage);
}

TEST_CASE("damage: records swapped, duplicated or missing invent nothing") {
  const Original original(18, 60, kLively);
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
    std::string bytes = original.bytes.substr(0, kSegmentHeaderSize);
    for (const auto& piece : pieces)
      bytes.append(original.bytes, piece.begin, piece.end - piece.begin);
    REQUIRE(read(bytes, original).is_true);
  }
}

TEST_CASE("damage: a record written twice is no damage to those behind it") {
  const Original original(19, 60, {0, 0, 0.1, 25});
  for (const auto& twice : original.pieces) {
    std::string bytes = original.bytes;
    bytes.insert(twice.end, original.bytes, twice.begin, twice.end - twice.begin);
    const auto result = read(bytes, original);
    CHECK((result.is_true && result.sequences.size() == 60));
  }
}

}  // namespace msp
