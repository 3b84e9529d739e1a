#include "agent/queue/scrape_codec.h"

#include <catch2/catch.hpp>

#include "agent/queue/bytes.h"
#include "agent/queue/dictionary.h"
#include "agent/queue/record_scanner.h"
#include "tests/support/random_scrapes.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using Outcome = ScrapeDecoder::Outcome;
using test::is_same;
using test::scrape;
using test::series_set;

std::string encoded(ScrapeEncoder& encoder, std::uint64_t sequence, const Scrape& scrape) {
  std::string bytes;
  const auto done = encoder.encode(sequence, scrape, bytes);
  INFO((done ? "" : done.error().text));
  REQUIRE(done);
  return bytes;
}

/// The records of `bytes`, by type.
std::vector<RecordType> types(std::string_view bytes) {
  std::vector<RecordType> all;
  RecordScanner scanner(bytes);
  while (const auto record = scanner.next()) all.push_back(record->type);
  REQUIRE(scanner.good_end() == bytes.size());
  return all;
}

/// What the last record of `bytes` yields.
Outcome feed(ScrapeDecoder& decoder, std::string_view bytes, ScrapeDecoder::Decoded* decoded) {
  auto outcome = Outcome::none;
  RecordScanner scanner(bytes);
  while (const auto record = scanner.next()) outcome = decoder.feed(*record, decoded);
  return outcome;
}

using Types = std::vector<RecordType>;
const Types kFull{RecordType::dictionary, RecordType::keyframe};
const Types kChanged{RecordType::dictionary_change, RecordType::keyframe};
const Types kKeyframe{RecordType::keyframe};
const Types kDelta{RecordType::delta};

const auto kSet = series_set({"a", "b", "c"});

std::shared_ptr<const SeriesSet> many_series(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("node_metric_total" + std::to_string(i));
  return series_set(names);
}

}  // namespace

TEST_CASE("codec: any scrapes come back bit for bit, whatever happens between them") {
  for (const auto seed : test::seeds(300)) {
    CAPTURE(seed);
    test::RandomScrapes source(seed);
    ScrapeEncoder encoder;
    ScrapeDecoder decoder;
    std::uint64_t sequence = source.random()();
    for (int i = 0; i < 120; ++i) {
      const auto original = source.next();
      if (source.chance(0.03)) encoder.restart();
      if (source.chance(0.03)) encoder.set_keyframes_only(source.chance(0.5));
      if (source.chance(0.02)) sequence += source.below(1000);
      const bool wanted = source.chance(0.9);
      ScrapeDecoder::Decoded decoded;
      const auto bytes = encoded(encoder, ++sequence, original);
      REQUIRE(feed(decoder, bytes, wanted ? &decoded : nullptr) == Outcome::scrape);
      if (!wanted) continue;
      REQUIRE(decoded.sequence == sequence);
      REQUIRE(is_same(*decoded.scrape, original));
    }
  }
}

TEST_CASE("codec: after a restart nothing from before is needed") {
  for (const auto seed : test::seeds(50)) {
    CAPTURE(seed);
    test::RandomScrapes source(seed);
    ScrapeEncoder encoder;
    for (std::uint64_t sequence = 1; sequence <= 60; ++sequence) {
      const auto original = source.next();
      const bool anew = source.chance(0.2);
      if (anew) encoder.restart();
      const auto bytes = encoded(encoder, sequence, original);
      ScrapeDecoder fresh;
      ScrapeDecoder::Decoded decoded;
      const auto outcome = feed(fresh, bytes, &decoded);
      if (anew) REQUIRE(outcome == Outcome::scrape);
      if (outcome == Outcome::scrape) REQUIRE(is_same(*decoded.scrape, original));
    }
  }
}

TEST_CASE("codec: each value alone, as first value, as change, and back") {
  test::RandomScrapes source(1, {0, 0, 1, 0});
  const auto one = series_set({"a"});
  ScrapeEncoder encoder;
  ScrapeDecoder decoder;
  std::uint64_t sequence = 0;
  double value = 0;
  for (int i = 0; i < 20'000; ++i) {
    value = i % 3 == 0 ? std::bit_cast<double>(source.random()())
                       : std::ldexp(static_cast<double>(source.below(1 << 20)),
                                    static_cast<int>(source.below(80)) - 30) /
                             std::pow(10.0, static_cast<double>(source.below(12)));
    const auto original = scrape(i, one, {source.chance(0.5) ? value : -value});
    ScrapeDecoder::Decoded decoded;
    REQUIRE(feed(decoder, encoded(encoder, ++sequence, original), &decoded) == Outcome::scrape);
    REQUIRE(is_same(*decoded.scrape, original));
  }
}

TEST_CASE("codec: a keyframe every 20 scrapes, after a gap and when the clock goes back") {
  ScrapeEncoder encoder;
  CHECK(types(encoded(encoder, 1, scrape(1000, kSet, {1, 2, 3}))) == kFull);
  for (std::uint64_t i = 2; i <= kKeyframeEvery; ++i) {
    CHECK(types(encoded(encoder, i,
                        scrape(static_cast<std::int64_t>(i) * 1000, kSet, {1, 2, 3}))) == kDelta);
  }
  CHECK(types(encoded(encoder, 21, scrape(21'000, kSet, {1, 2, 3}))) == kKeyframe);
  CHECK(types(encoded(encoder, 23, scrape(23'000, kSet, {1, 2, 3}))) == kKeyframe);
  CHECK(types(encoded(encoder, 24, scrape(24'000, kSet, {1, 2, 3}))) == kDelta);
  CHECK(types(encoded(encoder, 25, scrape(20'000, kSet, {1, 2, 3}))) == kKeyframe);
  encoder.restart();
  CHECK(types(encoded(encoder, 26, scrape(26'000, kSet, {1, 2, 3}))) == kFull);
  encoder.set_keyframes_only(true);
  CHECK(types(encoded(encoder, 27, scrape(27'000, kSet, {1, 2, 3}))) == kKeyframe);
}

TEST_CASE("codec: the same labels in another object are the same dictionary") {
  ScrapeEncoder encoder;
  encoded(encoder, 1, scrape(1, kSet, {1, 2, 3}));
  CHECK(types(encoded(encoder, 2, scrape(2, series_set({"a", "b", "c"}), {1, 2, 3}))) == kDelta);
}

TEST_CASE("codec: a device that comes or goes costs tens of bytes, its values apart") {
  const auto without = many_series(500);
  auto with = std::make_shared<SeriesSet>(*without);
  const auto device = series_set({"node_metric_totalveth"});
  with->insert(with->begin() + 250, device->front());

  std::string comes;
  REQUIRE(append_dictionary_change(*without, 1, *with, dictionary_hash(*with), comes));
  CHECK(comes.size() < 90);
  std::string goes;
  REQUIRE(append_dictionary_change(*with, 1, *without, dictionary_hash(*without), goes));
  CHECK(goes.size() < 50);

  const auto came = read_dictionary_change(record_at(comes)->payload, *without);
  REQUIRE(came != nullptr);
  CHECK((*came)[250]->labels == device->front()->labels);
  CHECK((*came)[251] == (*without)[250]);  // what was there is shared
  ScrapeEncoder encoder;
  encoded(encoder, 1, scrape(1, without, std::vector<double>(500)));
  CHECK(types(encoded(encoder, 2, scrape(2, with, std::vector<double>(501)))) == kChanged);
}

TEST_CASE("codec: a change for other series than the reader holds is refused") {
  const auto more = series_set({"a", "b", "c", "d"});
  std::string change;
  REQUIRE(append_dictionary_change(*kSet, dictionary_hash(*kSet), *more, dictionary_hash(*more),
                                   change));
  const auto payload = record_at(change)->payload;
  CHECK(read_dictionary_change(payload, *kSet) != nullptr);
  CHECK(read_dictionary_change(payload, *series_set({"a", "x", "c"})) == nullptr);
  ScrapeDecoder decoder;
  CHECK(feed(decoder, change, nullptr) == Outcome::no_dictionary);
}

TEST_CASE("codec: scrapes of one dictionary share its series, across segments too") {
  ScrapeEncoder encoder;
  ScrapeDecoder decoder;
  ScrapeDecoder::Decoded first;
  ScrapeDecoder::Decoded second;
  feed(decoder, encoded(encoder, 1, scrape(1, kSet, {1, 2, 3})), &first);
  encoder.restart();
  feed(decoder, encoded(encoder, 2, scrape(2, kSet, {1, 2, 3})), &second);
  REQUIRE((first.scrape && second.scrape));
  CHECK(first.scrape->series == second.scrape->series);
  CHECK(first.scrape->series->front()->desc == nullptr);
}

TEST_CASE("codec: the full dictionary comes again, so that damage to it is bounded") {
  const auto set = many_series(300);
  ScrapeEncoder encoder;
  test::RandomScrapes source(3);
  std::size_t since = 0;
  std::size_t longest = 0;
  int dictionaries = 0;
  for (std::uint64_t sequence = 1; sequence <= 1000; ++sequence) {
    std::vector<double> values;
    for (std::size_t i = 0; i < set->size(); ++i)
      values.push_back(static_cast<double>(source.below(1000)));
    const auto bytes =
        encoded(encoder, sequence, scrape(static_cast<std::int64_t>(sequence), set, values));
    if (types(bytes).front() == RecordType::dictionary) {
      ++dictionaries;
      longest = std::max(longest, since);
      since = 0;
    }
    since += bytes.size();
  }
  CHECK(dictionaries > 3);
  CHECK(longest >= kDictionaryEveryBytes);
  CHECK(longest < kDictionaryEveryBytes + kKeyframeEvery * set->size() * 3);
}

TEST_CASE("codec: a delta is refused unless its predecessor is the very record that came before") {
  ScrapeEncoder encoder;
  const auto one = encoded(encoder, 1, scrape(10, kSet, {1, 2, 3}));
  const auto two = encoded(encoder, 2, scrape(20, kSet, {2, 3, 4}));
  const auto three = encoded(encoder, 3, scrape(30, kSet, {3, 4, 5}));
  ScrapeEncoder other;
  const auto stranger = encoded(other, 1, scrape(10, kSet, {7, 8, 9}));

  ScrapeDecoder decoder;
  ScrapeDecoder::Decoded decoded;
  CHECK(feed(decoder, two, &decoded) == Outcome::broken_chain);
  CHECK(feed(decoder, stranger, &decoded) == Outcome::scrape);
  CHECK(feed(decoder, two, &decoded) == Outcome::broken_chain);
  CHECK(feed(decoder, one, &decoded) == Outcome::scrape);
  CHECK(feed(decoder, three, &decoded) == Outcome::broken_chain);
  CHECK(feed(decoder, two, &decoded) == Outcome::scrape);
  CHECK(feed(decoder, two, &decoded) == Outcome::broken_chain);
  CHECK(feed(decoder, three, &decoded) == Outcome::scrape);
  CHECK(decoded.scrape->values == std::vector<double>{3, 4, 5});
}

TEST_CASE(
    "codec: what is over a limit of the format is an error, and the next scrape stands alone") {
  ScrapeEncoder encoder;
  std::string out = "before";
  const auto huge = std::make_shared<SeriesSet>(kSeriesMax + 1, kSet->front());
  const auto done = encoder.encode(1, scrape(1, huge, std::vector<double>(huge->size())), out);
  REQUIRE_FALSE(done);
  CHECK_THAT(done.error().text, Catch::Contains("262144"));
  CHECK(out == "before");
  CHECK_FALSE(encoder.encode(2, scrape(2, kSet, {1}), out));
  CHECK(types(encoded(encoder, 3, scrape(3, kSet, {1, 2, 3}))) == kFull);
}

TEST_CASE("codec: nothing is built upon a record that turned out malformed halfway") {
  ScrapeEncoder encoder;
  const auto one = encoded(encoder, 1, scrape(10, kSet, {1, 2, 3}));
  const auto two = encoded(encoder, 2, scrape(20, kSet, {200, 300, 400}));
  const auto payload = record_at(two)->payload;
  std::string cut;
  const auto begin = begin_record(cut);
  cut += payload.substr(0, payload.size() - 1);
  end_record(cut, begin, RecordType::delta);

  ScrapeDecoder decoder;
  ScrapeDecoder::Decoded decoded;
  CHECK(feed(decoder, one, &decoded) == Outcome::scrape);
  CHECK(feed(decoder, cut, &decoded) == Outcome::malformed);
  CHECK(feed(decoder, two, &decoded) == Outcome::broken_chain);
  CHECK(feed(decoder, one, &decoded) == Outcome::scrape);
  CHECK(feed(decoder, two, &decoded) == Outcome::scrape);
}

TEST_CASE("codec: a record that lies about its counts is refused before memory is taken for them") {
  const auto record_of = [](RecordType type, const std::string& payload) {
    std::string bytes;
    const auto begin = begin_record(bytes);
    bytes += payload;
    end_record(bytes, begin, type);
    return bytes;
  };
  std::string dictionary(8, 'h');
  append_varint(dictionary, kContentBytesMax);
  ScrapeDecoder decoder;
  CHECK(feed(decoder, record_of(RecordType::dictionary, dictionary + "zz"), nullptr) ==
        Outcome::malformed);

  ScrapeEncoder encoder;
  feed(decoder, encoded(encoder, 1, scrape(1, kSet, {1, 2, 3})), nullptr);
  std::string keyframe;
  append_varint(keyframe, 2);
  append_varint(keyframe, ~0ull);
  append_varint(keyframe, 2);
  append_fixed(keyframe, dictionary_hash(*kSet));
  CHECK(feed(decoder, record_of(RecordType::keyframe, keyframe), nullptr) == Outcome::malformed);

  std::string change(8, 'h');
  append_fixed(change, dictionary_hash(*kSet));
  append_varint(change, 0);
  append_varint(change, 1u << 20);
  for (int i = 0; i < 1 << 20; ++i) change += std::string("\x06\x05", 2);  // all of base, again
  CHECK(feed(decoder, record_of(RecordType::dictionary_change, change), nullptr) ==
        Outcome::malformed);
  CHECK(feed(decoder, record_of(static_cast<RecordType>(99), "?"), nullptr) ==
        Outcome::unknown_type);
}

}  // namespace msp
