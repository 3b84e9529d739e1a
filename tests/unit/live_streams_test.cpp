#include "agent/queue/live_streams.h"

#include <catch2/catch.hpp>

#include "agent/queue/compression.h"
#include "tests/support/codec.h"
#include "tests/support/random_scrapes.h"

namespace msp {
namespace {

using namespace test::codec;
using test::is_same;
using test::series_set;

const auto kSet = series_set({"a", "b", "c"});

}  // namespace

TEST_CASE("codec: streams in turns are written as if each were alone") {
  const auto a = std::make_shared<const metrics::Stream>(metrics::Stream{"a"});
  const auto b = std::make_shared<const metrics::Stream>(metrics::Stream{"b"});
  const auto other = series_set({"x", "y"});
  queue::ScrapeEncoder encoder;
  queue::ScrapeDecoder decoder;
  CHECK(types(encoded(encoder, 1, {1000, kSet, {1, 2, 3}, a})) == kFull);
  CHECK(types(encoded(encoder, 2, {1001, other, {1, 2}, b})) == kFull);
  for (std::uint64_t i = 3; i < 20; i += 2) {
    const auto at = static_cast<std::int64_t>(i) * 1000;
    CHECK(types(encoded(encoder, i, {at, kSet, {1, 2, 3}, a})) == kDelta);
    CHECK(types(encoded(encoder, i + 1, {at + 1, other, {1, 2}, b})) == kDelta);
  }
  // By its name, not by its address; the one without a name is a stream too.
  const auto again = std::make_shared<const metrics::Stream>(metrics::Stream{"a"});
  CHECK(types(encoded(encoder, 50, {50'000, kSet, {1, 2, 3}, again})) == kDelta);
  CHECK(types(encoded(encoder, 51, {51'000, kSet, {1, 2, 3}, nullptr})) == kFull);
}

TEST_CASE("codec: two streams of the same series are not taken for one another") {
  const auto a = std::make_shared<const metrics::Stream>(metrics::Stream{"a"});
  const auto b = std::make_shared<const metrics::Stream>(metrics::Stream{"b"});
  queue::ScrapeEncoder first;
  queue::ScrapeEncoder second;
  const auto in_a = encoded(first, 1, {1000, kSet, {1, 2, 3}, a});
  const auto in_b = encoded(second, 1, {1000, kSet, {1, 2, 3}, b});
  // The same number, and b's dictionary lost.
  const auto dictionary_size = queue::record_at(in_b)->size();
  queue::ScrapeDecoder decoder;
  queue::ScrapeDecoder::Decoded decoded;
  REQUIRE(feed(decoder, in_a, &decoded) == Outcome::scrape);
  CHECK(feed(decoder, in_b.substr(dictionary_size), &decoded) == Outcome::no_dictionary);
}

TEST_CASE("codec: a stream that too many others pushed out begins anew, on both sides") {
  queue::ScrapeEncoder encoder;
  queue::ScrapeDecoder decoder;
  std::uint64_t sequence = 0;
  const auto bytes_of = [&](std::size_t stream) {
    ++sequence;
    const metrics::Scrape original{
        static_cast<std::int64_t>(sequence) * 1000,
        kSet,
        {1, 2, 3},
        std::make_shared<const metrics::Stream>(metrics::Stream{std::to_string(stream)})};
    const auto bytes = encoded(encoder, sequence, original);
    queue::ScrapeDecoder::Decoded decoded;
    REQUIRE(feed(decoder, bytes, &decoded) == Outcome::scrape);
    REQUIRE(is_same(*decoded.scrape, original));
    return bytes;
  };
  for (std::size_t stream = 0; stream < queue::kStreamsMax; ++stream) bytes_of(stream);
  CHECK(types(bytes_of(0)) == kDelta);
  bytes_of(queue::kStreamsMax);  // one too many: stream 1 was used the longest ago
  CHECK(types(bytes_of(0)) == kDelta);
  CHECK(types(bytes_of(1)) == kFull);
  for (std::size_t stream = 0; stream < 3 * queue::kStreamsMax; ++stream) bytes_of(stream);
}

TEST_CASE("codec: the labels of all live streams together are bounded") {
  std::vector<std::string> names;
  for (int i = 0; i < 400; ++i) names.push_back(std::string(60'000, 'x') + std::to_string(i));
  const auto large = series_set(names);  // 24 MB
  queue::ScrapeEncoder encoder;
  queue::ScrapeDecoder decoder;
  std::uint64_t sequence = 0;
  for (const auto* const stream : {"a", "b", "a", "c", "a", "b"}) {
    ++sequence;
    queue::ScrapeDecoder::Decoded decoded;
    const auto bytes = encoded(encoder, sequence,
                               {static_cast<std::int64_t>(sequence), large,
                                std::vector<double>(400, static_cast<double>(sequence)),
                                std::make_shared<const metrics::Stream>(metrics::Stream{stream})});
    REQUIRE(feed(decoder, bytes, &decoded) == Outcome::scrape);
    REQUIRE(decoded.scrape->values[0] == static_cast<double>(sequence));
    // Two fit.
    CHECK((types(bytes) == kDelta) == (sequence == 3 || sequence == 5));
  }
}

TEST_CASE("codec: a scrape that cannot be written does not let the two sides differ") {
  static bool has_memory = true;
  queue::ScrapeEncoder encoder(
      [](std::string_view content, std::string_view prefix, std::string& block) {
        return has_memory && queue::compress_block(content, prefix, block);
      });
  std::vector<std::string> names;
  for (int i = 0; i < 400; ++i) names.push_back(std::string(60'000, 'x') + std::to_string(i));
  const auto large = series_set(names);  // 24 MB: two fit
  names.back() = std::string(60'000, 'y');
  const auto changed = series_set(names);
  queue::ScrapeDecoder decoder;
  std::uint64_t sequence = 0;
  std::string bytes;
  const auto put = [&](const char* stream, const std::shared_ptr<const metrics::SeriesSet>& set) {
    ++sequence;
    bytes.clear();
    return encoder.encode(
        sequence,
        metrics::Scrape{static_cast<std::int64_t>(sequence), set,
                        std::vector<double>(400, static_cast<double>(sequence)),
                        std::make_shared<const metrics::Stream>(metrics::Stream{stream})},
        bytes);
  };
  for (const auto* const stream : {"a", "b"}) {
    REQUIRE(put(stream, large));
    REQUIRE(feed(decoder, bytes, nullptr) == Outcome::scrape);
  }
  has_memory = false;
  CHECK_FALSE(put("b", changed));
  has_memory = true;
  // The reader has "b" still when "c" comes, and so lets go of "a".
  for (const auto* const stream : {"c", "a", "b", "c", "b"}) {
    REQUIRE(put(stream, large));
    REQUIRE(feed(decoder, bytes, nullptr) == Outcome::scrape);
  }
}

TEST_CASE("codec: behind the dictionaries of all streams each keyframe can be read") {
  queue::ScrapeEncoder encoder;
  encoder.set_keyframes_only(true);
  const auto a = std::make_shared<const metrics::Stream>(metrics::Stream{"a"});
  encoded(encoder, 1, {1000, kSet, {1, 2, 3}, a});
  encoded(encoder, 2, {1000, many_series(5), {1, 2, 3, 4, 5}, nullptr});
  std::string dictionaries;
  REQUIRE(encoder.encode_dictionaries(dictionaries));
  CHECK(types(dictionaries) == Types{queue::RecordType::dictionary, queue::RecordType::dictionary});
  const auto three = encoded(encoder, 3, {2000, kSet, {4, 5, 6}, a});
  const auto four = encoded(encoder, 4, {2000, many_series(5), {1, 2, 3, 4, 5}, nullptr});
  CHECK(types(three) == kKeyframe);
  queue::ScrapeDecoder decoder;
  queue::ScrapeDecoder::Decoded decoded;
  feed(decoder, dictionaries, nullptr);
  CHECK(feed(decoder, four, &decoded) == Outcome::scrape);
  CHECK(feed(decoder, three, &decoded) == Outcome::scrape);
  CHECK(decoded.scrape->values == std::vector<double>{4, 5, 6});
}

}  // namespace msp
