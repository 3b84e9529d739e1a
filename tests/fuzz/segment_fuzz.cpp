// Bytes from anywhere, read as a segment: no crash, no endless work, no memory beyond what the
// bytes can justify. libFuzzer takes LLVMFuzzerTestOneInput as it is; without it this is a program:
//
//     segment_fuzz [--runs=N] [--seed=N] [file or directory]...
//
// reads every file, then N mutations of them and of segments it makes itself. Half of the mutations
// get good checksums afterwards, or nothing behind the checksum would ever be reached.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "agent/queue/record_scanner.h"
#include "agent/queue/scrape_codec.h"
#include "tests/support/fuzz_input.h"
#include "tests/support/random_scrapes.h"

namespace {

constexpr std::size_t kContentMax = 1 << 20;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "segment_fuzz: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  msp::queue::parse_segment_header(bytes);
  msp::queue::summary_at_end(bytes);
  msp::queue::ScrapeDecoder decoder;
  msp::queue::RecordScanner scanner(bytes, msp::queue::kSegmentHeaderSize);
  std::size_t end = scanner.good_end();
  while (const auto record = scanner.next()) {
    require(scanner.good_end() >= end + msp::queue::kRecordHeaderSize,
            "the scanner does not advance");
    end = scanner.good_end();
    const auto head = msp::queue::entry_head(*record);
    msp::queue::ScrapeDecoder::Decoded decoded;
    const auto outcome = decoder.feed(*record, &decoded);
    const bool is_scrape = outcome == msp::queue::ScrapeDecoder::Outcome::scrape;
    const bool is_request = outcome == msp::queue::ScrapeDecoder::Outcome::request;
    require(is_scrape == (decoded.scrape != nullptr), "a scrape or none");
    require(is_request == (decoded.request != nullptr), "a request or none");
    if (!is_scrape && !is_request) continue;
    require(head.has_value(), "an entry without a head");
    require(head->first_sequence == decoded.first_sequence, "the head has another sequence");
    require(head->last_sequence == decoded.last_sequence, "the head has another last sequence");
    if (is_scrape) {
      require(head->samples == decoded.scrape->values.size(), "the head has another count");
      require(decoded.scrape->series->size() == decoded.scrape->values.size(), "series and values");
    } else {
      require(head->samples == decoded.request->samples, "the head has another count");
      // Whatever its frames say, no more than the limit is taken for them.
      const auto content = msp::queue::content_of(decoded.request->message, kContentMax);
      require(!content || content->size() <= kContentMax, "more content than allowed");
    }
  }
  require(scanner.wasted_bytes() <= msp::queue::RecordScanner::kWasteMax * size, "too much work");
  return 0;
}

#ifndef MSP_AGENT_LIBFUZZER
namespace {

using Random = msp::test::RandomScrapes;

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

std::string segment(std::uint64_t seed) {
  msp::test::RandomEntries source(seed, 1 + seed % 4, {0.15, 0.1, 0.1, 20});
  msp::queue::ScrapeEncoder encoder;
  auto bytes = msp::queue::make_segment_header(1);
  for (std::uint64_t sequence = 1; sequence <= 40; ++sequence) {
    const auto entry = source.next();
    if (!(entry.scrape ? encoder.encode(sequence, *entry.scrape, bytes)
                       : encoder.encode(sequence, sequence, *entry.request, bytes))) {
      std::abort();
    }
  }
  msp::queue::append_summary({}, bytes);
  return bytes;
}

/// One small harm to bytes [begin, end).
void harm(std::string& bytes, std::size_t begin, std::size_t end, Random& random) {
  if (begin >= end) return;
  const auto at = begin + random.below(end - begin);
  switch (random.below(5)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
      break;
    case 1:
      bytes[at] = static_cast<char>(random.random()());
      break;
    case 2:
      bytes[at] = random.chance(0.5) ? '\xff' : '\0';
      break;
    case 3:
      bytes.erase(at, 1 + random.below(std::min<std::size_t>(8, end - at)));
      break;
    default:
      bytes.insert(at, 1 + random.below(8), static_cast<char>(random.random()()));
  }
}

/// Harms the inside of some records and gives them a checksum that is good again.
std::string lie(const std::string& bytes, Random& random) {
  std::string out = bytes.substr(0, msp::queue::kSegmentHeaderSize);
  msp::queue::RecordScanner scanner(bytes, msp::queue::kSegmentHeaderSize);
  while (const auto record = scanner.next()) {
    std::string payload(record->payload);
    auto type = record->type;
    if (random.chance(0.1)) harm(payload, 0, payload.size(), random);
    if (random.chance(0.02)) harm(payload, 0, std::min<std::size_t>(payload.size(), 24), random);
    if (random.chance(0.01)) type = static_cast<msp::queue::RecordType>(random.below(8));
    const auto begin = msp::queue::begin_record(out);
    out += payload;
    msp::queue::end_record(out, begin, type);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const msp::test::FuzzInput input(argc, argv, [](const std::filesystem::path&) { return true; });
  const auto& [runs, seed, given] = input;
  for (const auto& bytes : given) run(bytes);
  auto corpus = given;
  for (std::uint64_t i = 0; i < 20; ++i) corpus.push_back(segment(seed + i));

  std::printf("segment_fuzz: %zu files, %llu mutations, seed %llu\n", given.size(),
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(seed));
  Random random(seed);
  for (std::uint64_t i = 0; i < runs; ++i) {
    auto bytes = corpus[random.below(corpus.size())];
    if (random.chance(0.5)) {
      bytes = lie(bytes, random);
    } else {
      for (auto left = 1 + random.below(6); left > 0; --left) harm(bytes, 0, bytes.size(), random);
      if (random.chance(0.1)) bytes.resize(random.below(bytes.size() + 1));
    }
    run(bytes);
  }
  return 0;
}
#endif
