#include "agent/queue/scrape_codec.h"

#include <catch2/catch.hpp>

#include "agent/queue/bytes.h"
#include "agent/queue/dictionary.h"
#include "agent/queue/record_scanner.h"
#include "tests/support/codec.h"
#include "tests/support/random_scrapes.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using namespace test::codec;
using test::is_same;
using test::scrape;
using test::series_set;

const auto kSet = series_set({"a", "b", "c"});

}  // namespace

TEST_CASE("codec: any scrapes of any streams come back bit for bit, whatever is between them") {
  for (const auto seed : test::seeds(300)) {
    CAPTURE(seed);
    test::RandomEntries entries(seed, 1 + seed % 5, {0.1, 0.1, 0.05, 60});
    auto& random = entries.random();
    queue::ScrapeEncoder encoder;
    queue::ScrapeDecoder decoder;
    std::uint64_t sequence = random.random()() >> 1;
    for (int i = 0; i < 150; ++i) {
      const auto original = entries.next();
      if (random.chance(0.03)) encoder.restart();
      if (random.chance(0.03)) encoder.set_keyframes_only(random.chance(0.5));
      if (random.chance(0.02)) sequence += random.below(1000);
      const auto first = ++sequence;
      if (original.request) sequence += random.below(3);
      std::string bytes;
      REQUIRE((original.scrape ? encoder.encode(sequence, *original.scrape, bytes)
                               : encoder.encode(first, sequence, *original.request, bytes)));
      const bool wanted = random.chance(0.9);
      queue::ScrapeDecoder::Decoded decoded;
      REQUIRE(feed(decoder, bytes, wanted ? &decoded : nullptr) ==
              (original.scrape ? Outcome::scrape : Outcome::request));
      if (!wanted) continue;
      REQUIRE(decoded.first_sequence == first);
      REQUIRE(decoded.last_sequence == sequence);
      REQUIRE(test::is_same(decoded, original));
    }
  }
}

TEST_CASE("codec: after a restart nothing from before is needed, whatever the stream") {
  for (const auto seed : test::seeds(50)) {
    CAPTURE(seed);
    test::RandomEntries entries(seed, 3, {0.1, 0.1, 0.05, 60});
    queue::ScrapeEncoder encoder;
    queue::ScrapeDecoder fresh;
    bool anew = false;
    for (std::uint64_t sequence = 1; sequence <= 120; ++sequence) {
      const auto original = entries.next();
      if (original.request) continue;
      if (entries.random().chance(0.1)) {
        encoder.restart();
        fresh = queue::ScrapeDecoder();
        anew = true;
      }
      const auto bytes = encoded(encoder, sequence, *original.scrape);
      queue::ScrapeDecoder::Decoded decoded;
      if (!anew) continue;
      REQUIRE(feed(fresh, bytes, &decoded) == Outcome::scrape);
      REQUIRE(test::is_same(decoded, original));
    }
    REQUIRE(anew);
  }
}

TEST_CASE("codec: each value alone, as first value, as change, and back") {
  test::RandomScrapes source(1, {0, 0, 1, 0});
  const auto one = series_set({"a"});
  queue::ScrapeEncoder encoder;
  queue::ScrapeDecoder decoder;
  std::uint64_t sequence = 0;
  double value = 0;
  for (int i = 0; i < 20'000; ++i) {
    value = i % 3 == 0 ? std::bit_cast<double>(source.random()())
                       : std::ldexp(static_cast<double>(source.below(1 << 20)),
                                    static_cast<int>(source.below(80)) - 30) /
                             std::pow(10.0, static_cast<double>(source.below(12)));
    const auto original = scrape(i, one, {source.chance(0.5) ? value : -value});
    queue::ScrapeDecoder::Decoded decoded;
    REQUIRE(feed(decoder, encoded(encoder, ++sequence, original), &decoded) == Outcome::scrape);
    REQUIRE(is_same(*decoded.scrape, original));
  }
}

TEST_CASE("codec: a keyframe every 20 scrapes and when the clock goes back, not after a gap") {
  queue::ScrapeEncoder encoder;
  CHECK(types(encoded(encoder, 1, scrape(1000, kSet, {1, 2, 3}))) == kFull);
  for (std::uint64_t i = 2; i <= queue::kKeyframeEvery; ++i) {
    CHECK(types(encoded(encoder, i,
                        scrape(static_cast<std::int64_t>(i) * 1000, kSet, {1, 2, 3}))) == kDelta);
  }
  CHECK(types(encoded(encoder, 21, scrape(21'000, kSet, {1, 2, 3}))) == kKeyframe);
  CHECK(types(encoded(encoder, 23, scrape(23'000, kSet, {1, 2, 3}))) == kDelta);
  CHECK(types(encoded(encoder, 24, scrape(24'000, kSet, {1, 2, 3}))) == kDelta);
  CHECK(types(encoded(encoder, 25, scrape(20'000, kSet, {1, 2, 3}))) == kKeyframe);
  encoder.restart();
  CHECK(types(encoded(encoder, 26, scrape(26'000, kSet, {1, 2, 3}))) == kFull);
  encoder.set_keyframes_only(true);
  CHECK(types(encoded(encoder, 27, scrape(27'000, kSet, {1, 2, 3}))) == kKeyframe);
}

TEST_CASE("codec: the same labels in another object are the same dictionary") {
  queue::ScrapeEncoder encoder;
  encoded(encoder, 1, scrape(1, kSet, {1, 2, 3}));
  CHECK(types(encoded(encoder, 2, scrape(2, series_set({"a", "b", "c"}), {1, 2, 3}))) == kDelta);
}

TEST_CASE("codec: a device that comes, goes or moves costs tens of bytes, and no keyframe") {
  const auto without = many_series(500);
  const auto device = series_set({"node_metric_totalveth"});
  auto with = std::make_shared<metrics::SeriesSet>(*without);
  with->insert(with->begin() + 250, device->front());
  auto moved = std::make_shared<metrics::SeriesSet>(*without);
  moved->push_back(device->front());

  queue::ScrapeEncoder encoder;
  queue::ScrapeDecoder decoder;
  std::int64_t at = 0;
  std::vector<double> values;
  const auto bytes_of = [&](const std::shared_ptr<const metrics::SeriesSet>& set,
                            const Types& expected) {
    ++at;
    values.resize(set->size());
    const auto original = scrape(at * 1000, set, values);
    const auto bytes = encoded(encoder, static_cast<std::uint64_t>(at), original);
    CHECK(types(bytes) == expected);
    queue::ScrapeDecoder::Decoded decoded;
    REQUIRE(feed(decoder, bytes, &decoded) == Outcome::scrape);
    CHECK(is_same(*decoded.scrape, original));
    return bytes.size();
  };
  for (std::size_t i = 0; i < 500; ++i) values.push_back(static_cast<double>(i) * 1e6);
  bytes_of(without, kFull);
  const auto quiet = bytes_of(without, kDelta);
  values.insert(values.begin() + 250, 77);
  CHECK(bytes_of(with, kChanged) < quiet + 70);
  values.erase(values.begin() + 250);
  values.push_back(77);
  CHECK(bytes_of(moved, kChanged) < quiet + 50);
  values.pop_back();
  CHECK(bytes_of(without, kChanged) < quiet + 50);
}

TEST_CASE("codec: what stays in a changed dictionary is shared with the one before") {
  const auto base = many_series(10);
  auto with = std::make_shared<metrics::SeriesSet>(*base);
  with->insert(with->begin() + 5, kSet->front());
  const auto layout = queue::layout_of(*with, *base);
  CHECK(layout == queue::Layout{{false, 0, 5}, {true, 0, 1}, {false, 5, 5}});
  std::string change;
  REQUIRE(queue::append_dictionary_change(1, 2, *with, queue::dictionary_hash("s", *with), layout,
                                          queue::compress_block, change) == queue::Appended::done);
  const auto head = queue::dictionary_head(*queue::record_at(change));
  REQUIRE(head.has_value());
  queue::Layout read;
  const auto came = queue::read_dictionary_change(*head, "s", *base, read);
  REQUIRE(came != nullptr);
  CHECK(read == layout);
  CHECK((*came)[5]->labels == kSet->front()->labels);
  CHECK((*came)[6] == (*base)[5]);
  // Of another stream, or upon other series than the writer had, it is refused.
  CHECK(queue::read_dictionary_change(*head, "t", *base, read) == nullptr);
  CHECK(queue::read_dictionary_change(*head, "s", *many_series(9), read) == nullptr);
  auto other = std::make_shared<metrics::SeriesSet>(*base);
  (*other)[2] = kSet->back();
  CHECK(queue::read_dictionary_change(*head, "s", *other, read) == nullptr);
  queue::ScrapeDecoder decoder;
  CHECK(feed(decoder, change, nullptr) == Outcome::no_dictionary);
}

TEST_CASE("codec: a series keeps its type, and its help is not stored") {
  static constexpr metrics::MetricDesc kFamily{"a", "Help.", "", metrics::MetricType::histogram};
  const auto series = [](const metrics::MetricDesc* family) -> metrics::SeriesPtr {
    return std::make_shared<const metrics::Series>(
        metrics::Series{metrics::Labels(std::vector<metrics::Label>{{"__name__", "a"}}), family});
  };
  const auto typed =
      std::make_shared<const metrics::SeriesSet>(metrics::SeriesSet{series(&kFamily)});
  const auto untyped =
      std::make_shared<const metrics::SeriesSet>(metrics::SeriesSet{series(nullptr)});
  queue::ScrapeEncoder encoder;
  queue::ScrapeDecoder decoder;
  queue::ScrapeDecoder::Decoded decoded;
  feed(decoder, encoded(encoder, 1, scrape(1, typed, {1})), &decoded);
  REQUIRE(decoded.scrape->series->front()->desc != nullptr);
  CHECK(decoded.scrape->series->front()->desc->type == metrics::MetricType::histogram);
  CHECK(decoded.scrape->series->front()->desc->help.empty());
  // Another type is another dictionary.
  feed(decoder, encoded(encoder, 2, scrape(2, untyped, {1})), &decoded);
  CHECK(decoded.scrape->series->front()->desc == nullptr);
}

TEST_CASE("codec: want of memory is not taken for a limit of the format") {
  queue::ScrapeEncoder encoder(
      [](std::string_view, std::string_view, std::string&) { return false; });
  std::string out = "before";
  const auto done = encoder.encode(7, scrape(1, many_series(100), std::vector<double>(100)), out);
  REQUIRE_FALSE(done);
  CHECK(encoder.is_out_of_memory());
  CHECK(out == "before");
  CHECK_THAT(done.error().text, Catch::Contains("no memory"));
  CHECK_THAT(done.error().text, !Catch::Contains("more than"));
  // A small one needs none.
  CHECK(encoder.encode(8, scrape(2, kSet, {1, 2, 3}), out));
  CHECK_FALSE(encoder.is_out_of_memory());
}

TEST_CASE("codec: scrapes of one dictionary share its series, across segments too") {
  queue::ScrapeEncoder encoder;
  queue::ScrapeDecoder decoder;
  queue::ScrapeDecoder::Decoded first;
  queue::ScrapeDecoder::Decoded second;
  feed(decoder, encoded(encoder, 1, scrape(1, kSet, {1, 2, 3})), &first);
  encoder.restart();
  feed(decoder, encoded(encoder, 2, scrape(2, kSet, {1, 2, 3})), &second);
  REQUIRE((first.scrape && second.scrape));
  CHECK(first.scrape->series == second.scrape->series);
  CHECK(first.scrape->series->front()->desc == nullptr);
}

TEST_CASE("codec: the full dictionary comes again, so that damage to it is bounded") {
  const auto set = many_series(300);
  queue::ScrapeEncoder encoder;
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
    if (types(bytes).front() == queue::RecordType::dictionary) {
      ++dictionaries;
      longest = std::max(longest, since);
      since = 0;
    }
    since += bytes.size();
  }
  CHECK(dictionaries > 3);
  CHECK(longest >= queue::kDictionaryEveryBytes);
  CHECK(longest < queue::kDictionaryEveryBytes + queue::kKeyframeEvery * set->size() * 3);
}

TEST_CASE("codec: a delta is refused unless its predecessor is the very record that came before") {
  queue::ScrapeEncoder encoder;
  const auto one = encoded(encoder, 1, scrape(10, kSet, {1, 2, 3}));
  const auto two = encoded(encoder, 2, scrape(20, kSet, {2, 3, 4}));
  const auto three = encoded(encoder, 3, scrape(30, kSet, {3, 4, 5}));
  queue::ScrapeEncoder other;
  const auto stranger = encoded(other, 1, scrape(10, kSet, {7, 8, 9}));

  queue::ScrapeDecoder decoder;
  queue::ScrapeDecoder::Decoded decoded;
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
  queue::ScrapeEncoder encoder;
  std::string out = "before";
  const auto huge = std::make_shared<metrics::SeriesSet>(queue::kSeriesMax + 1, kSet->front());
  const auto done = encoder.encode(1, scrape(1, huge, std::vector<double>(huge->size())), out);
  REQUIRE_FALSE(done);
  CHECK_THAT(done.error().text, Catch::Contains("262144"));
  CHECK(out == "before");
  CHECK_FALSE(encoder.encode(2, scrape(2, kSet, {1}), out));
  CHECK(types(encoded(encoder, 3, scrape(3, kSet, {1, 2, 3}))) == kFull);
}

TEST_CASE("codec: nothing is built upon a record that turned out malformed halfway") {
  queue::ScrapeEncoder encoder;
  const auto one = encoded(encoder, 1, scrape(10, kSet, {1, 2, 3}));
  const auto two = encoded(encoder, 2, scrape(20, kSet, {200, 300, 400}));
  const auto payload = queue::record_at(two)->payload;
  std::string cut;
  const auto begin = queue::begin_record(cut);
  cut += payload.substr(0, payload.size() - 1);
  queue::end_record(cut, begin, queue::RecordType::delta);

  queue::ScrapeDecoder decoder;
  queue::ScrapeDecoder::Decoded decoded;
  CHECK(feed(decoder, one, &decoded) == Outcome::scrape);
  CHECK(feed(decoder, cut, &decoded) == Outcome::malformed);
  CHECK(feed(decoder, two, &decoded) == Outcome::broken_chain);
  CHECK(feed(decoder, one, &decoded) == Outcome::scrape);
  CHECK(feed(decoder, two, &decoded) == Outcome::scrape);
}

TEST_CASE("codec: a record that lies about its counts is refused before memory is taken for them") {
  const auto record_of = [](queue::RecordType type, const std::string& payload) {
    std::string bytes;
    const auto begin = queue::begin_record(bytes);
    bytes += payload;
    queue::end_record(bytes, begin, type);
    return bytes;
  };
  std::string dictionary("\x01\0", 2);
  dictionary.append(8, 'h');
  queue::append_varint(dictionary, queue::kContentBytesMax);
  queue::ScrapeDecoder decoder;
  CHECK(feed(decoder, record_of(queue::RecordType::dictionary, dictionary + "zz"), nullptr) ==
        Outcome::malformed);

  queue::ScrapeEncoder encoder;
  feed(decoder, encoded(encoder, 1, scrape(1, kSet, {1, 2, 3})), nullptr);
  std::string keyframe;
  queue::append_varint(keyframe, 2);
  queue::append_varint(keyframe, 1);
  queue::append_varint(keyframe, ~0ull);
  queue::append_varint(keyframe, 2);
  queue::append_fixed(keyframe, queue::dictionary_hash("", *kSet));
  CHECK(feed(decoder, record_of(queue::RecordType::keyframe, keyframe), nullptr) ==
        Outcome::malformed);

  std::string change("\x01");
  change.append(8, 'h');
  queue::append_fixed(change, static_cast<std::uint32_t>(queue::dictionary_hash("", *kSet)));
  queue::append_varint(change, 1u << 20);
  for (int i = 0; i < 1 << 20; ++i) change += std::string("\x06\x05", 2);  // all of base, again
  queue::append_varint(change, 0);
  CHECK(feed(decoder, record_of(queue::RecordType::dictionary_change, change), nullptr) ==
        Outcome::malformed);
  CHECK(feed(decoder, record_of(static_cast<queue::RecordType>(99), "?"), nullptr) ==
        Outcome::unknown_type);
}

}  // namespace msp
