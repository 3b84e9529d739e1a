// Scrapes through an encoder and a decoder, by hand.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/queue/record_scanner.h"
#include "agent/queue/scrape_codec.h"
#include "tests/support/scrapes.h"

namespace msp::test::codec {

using Outcome = queue::ScrapeDecoder::Outcome;

inline std::string encoded(queue::ScrapeEncoder& encoder, std::uint64_t sequence,
                           const metrics::Scrape& scrape) {
  std::string bytes;
  const auto done = encoder.encode(sequence, scrape, bytes);
  INFO((done ? "" : done.error().text));
  REQUIRE(done);
  return bytes;
}

/// The records of `bytes`, by type.
inline std::vector<queue::RecordType> types(std::string_view bytes) {
  std::vector<queue::RecordType> all;
  queue::RecordScanner scanner(bytes);
  while (const auto record = scanner.next()) all.push_back(record->type);
  REQUIRE(scanner.good_end() == bytes.size());
  return all;
}

/// What the last record of `bytes` yields.
inline Outcome feed(queue::ScrapeDecoder& decoder, std::string_view bytes,
                    queue::ScrapeDecoder::Decoded* decoded) {
  auto outcome = Outcome::none;
  queue::RecordScanner scanner(bytes);
  while (const auto record = scanner.next()) outcome = decoder.feed(*record, decoded);
  return outcome;
}

using Types = std::vector<queue::RecordType>;
inline const Types kFull{queue::RecordType::dictionary, queue::RecordType::keyframe};
inline const Types kChanged{queue::RecordType::dictionary_change, queue::RecordType::delta};
inline const Types kKeyframe{queue::RecordType::keyframe};
inline const Types kDelta{queue::RecordType::delta};

inline std::shared_ptr<const metrics::SeriesSet> many_series(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("node_metric_total" + std::to_string(i));
  return series_set(names);
}

}  // namespace msp::test::codec
