// agent/queue/FORMAT.md shows the bytes of a small segment, field by field. What it shows is what is
// written: MSP_UPDATE_GOLDEN=1 writes the dump on the page anew.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "agent/base/text.h"
#include "agent/queue/bytes.h"
#include "agent/queue/compression.h"
#include "agent/queue/record_scanner.h"
#include "agent/queue/scrape_codec.h"

namespace msp {
namespace {

const std::string kPage = FORMAT_PAGE;
constexpr std::string_view kBegin = "```text\naddr  bytes";
constexpr std::string_view kEnd = "```\n";

/// A line for each field: where it is, its bytes and what they mean.
class Dump {
 public:
  explicit Dump(std::string_view bytes) : bytes_(bytes) {}

  void title(const std::string& text) {
    if (at_ != 0) text_ += "\n      " + text + "\n";
  }

  std::string_view field(std::size_t size, const std::string& meaning) {
    constexpr std::size_t kPerLine = 12;
    REQUIRE(at_ + size <= bytes_.size());
    const auto field = bytes_.substr(at_, size);
    for (std::size_t begin = 0; begin < size; begin += kPerLine) {
      char number[8];
      std::snprintf(number, sizeof number, "%04zx  ", at_ + begin);
      text_ += number;
      std::string line;
      for (auto i = begin; i < std::min(size, begin + kPerLine); ++i) {
        std::snprintf(number, sizeof number, "%02x ", static_cast<unsigned char>(field[i]));
        line += number;
      }
      if (begin == 0) line += std::string(kPerLine * 3 + 1 - line.size(), ' ') + meaning;
      while (line.ends_with(' ')) line.pop_back();
      text_ += line + "\n";
    }
    at_ += size;
    return field;
  }

  template <typename Integer>
  void fixed(const std::string& meaning) {
    queue::ByteReader reader(bytes_.substr(at_));
    const auto value = reader.fixed<Integer>();
    const bool is_hash =
        meaning.find("hash") != std::string::npos || meaning.find("checksum") != std::string::npos;
    field(sizeof value, is_hash ? meaning : cat(meaning, " ", value));
  }

  std::uint64_t varint(const std::string& meaning, bool is_signed = false) {
    queue::ByteReader reader(bytes_.substr(at_));
    const auto value = reader.varint();
    const auto size = bytes_.size() - at_ - reader.rest().size();
    const auto number = static_cast<std::int64_t>(is_signed ? queue::unfold_sign(value) : value);
    field(size, cat(meaning, " ", number));
    return value;
  }

  void text(std::size_t size, const std::string& meaning) {
    field(size, cat(meaning, " '", bytes_.substr(at_, size), "'"));
  }

  std::size_t at() const { return at_; }
  const std::string& str() const { return text_; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::string text_;
};

void dump_series(Dump& dump, std::size_t end) {
  while (dump.at() < end) {
    if (dump.varint("like the series so many places before:") != 0) {
      dump.varint("  in its first bytes:");
      dump.varint("  and in its last bytes:");
    }
    const auto length = dump.varint("bytes that are its own * 8 + type:");
    dump.field(length / 8, "  these");
  }
}

void dump_payload(Dump& dump, const queue::Record& record) {
  const auto end = dump.at() + record.payload.size();
  switch (record.type) {
    case queue::RecordType::dictionary:
      dump.varint("stream");
      dump.text(dump.varint("length of its name"), "name");
      dump.fixed<std::uint64_t>("hash");
      dump.varint("content size");
      return dump_series(dump, end);
    case queue::RecordType::dictionary_change: {
      dump.varint("stream");
      dump.fixed<std::uint64_t>("hash");
      dump.fixed<std::uint32_t>("low half of the base's hash");
      for (auto runs = dump.varint("runs"); runs > 0; --runs) {
        if (dump.varint("series * 2 + 1 if new:") % 2 == 0) dump.varint("  skipped", true);
      }
      dump.varint("content size");
      return dump_series(dump, end);
    }
    case queue::RecordType::keyframe:
      dump.varint("sequence");
      dump.varint("stream");
      dump.varint("samples");
      dump.varint("timestamp_ms", true);
      dump.fixed<std::uint64_t>("hash of the dictionary");
      dump.field(end - dump.at(), "values");
      return;
    case queue::RecordType::delta:
      dump.varint("sequence");
      dump.varint("stream");
      dump.varint("samples");
      dump.field(4, "link");
      dump.varint("interval_ms: change", true);
      dump.field(end - dump.at(), "values");
      return;
    case queue::RecordType::request:
      dump.varint("first sequence");
      dump.varint("further sequences");
      dump.varint("samples");
      dump.varint("first timestamp_ms", true);
      dump.varint("last timestamp_ms: beyond the first", true);
      dump.varint("content size");
      dump.text(dump.varint("length of the stream's name"), "name");
      dump.field(end - dump.at(), "message: a zstd frame");
      return;
    case queue::RecordType::done:  // of the write-ahead log
      dump.varint("first sequence");
      dump.varint("last sequence");
      dump.text(end - dump.at(), "consumer");
      return;
    case queue::RecordType::summary:
      for (const auto* const name :
           {"first sequence", "last sequence", "scrapes", "requests", "samples"}) {
        dump.fixed<std::uint64_t>(name);
      }
      dump.fixed<std::int64_t>("first timestamp_ms");
      dump.fixed<std::int64_t>("last timestamp_ms");
      dump.fixed<std::uint32_t>("streams");
      return;
  }
}

std::string title_of(queue::RecordType type) {
  constexpr const char* kTitles[] = {
      "", "dictionary", "dictionary change", "keyframe", "delta", "summary", "request"};
  return kTitles[static_cast<std::size_t>(type)];
}

std::string dump_of(const std::string& segment) {
  Dump dump(segment);
  dump.text(8, "magic");
  dump.fixed<std::uint32_t>("version");
  dump.fixed<std::uint64_t>("first sequence");
  dump.fixed<std::uint32_t>("checksum");
  queue::RecordScanner scanner(segment, queue::kSegmentHeaderSize);
  while (const auto record = scanner.next()) {
    dump.title(title_of(record->type));
    dump.field(2, "record magic");
    dump.fixed<std::uint32_t>("checksum");
    dump.field(1, cat("type ", static_cast<int>(record->type)));
    dump.field(3, cat("length ", record->payload.size()));
    dump_payload(dump, *record);
  }
  REQUIRE(dump.at() == segment.size());
  return dump.str();
}

metrics::SeriesPtr series(const std::string& name, metrics::MetricType type) {
  static constexpr metrics::MetricDesc kCounter{"", "", "", metrics::MetricType::counter};
  static constexpr metrics::MetricDesc kGauge{"", "", "", metrics::MetricType::gauge};
  return std::make_shared<const metrics::Series>(
      metrics::Series{metrics::Labels({{"__name__", name}, {"job", "node"}}),
                      type == metrics::MetricType::counter ? &kCounter : &kGauge});
}

/// Two scrapes, one with another series, and a request that was joined of two.
std::string small_segment() {
  const auto host = std::make_shared<const metrics::Stream>(metrics::Stream{"host"});
  const auto load = series("load1", metrics::MetricType::gauge);
  const auto reads = series("reads_total", metrics::MetricType::counter);
  const auto writes = series("writes_total", metrics::MetricType::counter);
  const auto two = std::make_shared<const metrics::SeriesSet>(metrics::SeriesSet{load, reads});
  const auto three =
      std::make_shared<const metrics::SeriesSet>(metrics::SeriesSet{load, reads, writes});
  const auto relay = std::make_shared<const metrics::Stream>(metrics::Stream{"relay"});
  queue::Request request{relay, 2, 900, 1000, {}};
  REQUIRE(queue::compress_frame("abcdefgh", request.message));

  auto segment = queue::make_segment_header(1);
  queue::ScrapeEncoder encoder;
  REQUIRE(encoder.encode(1, metrics::Scrape{1000, two, {0.25, 300}, host}, segment));
  REQUIRE(encoder.encode(2, metrics::Scrape{2000, two, {0.25, 310}, host}, segment));
  REQUIRE(encoder.encode(3, metrics::Scrape{3000, three, {0.31, 321, 7}, host}, segment));
  REQUIRE(encoder.encode(4, 5, request, segment));
  queue::append_summary({1, 5, 3, 1, 9, 900, 3000, 2}, segment);
  return segment;
}

}  // namespace

TEST_CASE("format: the page shows the bytes that are written") {
  std::ifstream file(kPage);
  REQUIRE(file);
  std::string page{std::istreambuf_iterator<char>(file), {}};
  const auto begin = page.find(kBegin);
  REQUIRE(begin != std::string::npos);
  const auto dump_begin = page.find('\n', begin + kBegin.size()) + 1;
  const auto dump_end = page.find(kEnd, dump_begin);
  REQUIRE(dump_end != std::string::npos);

  const auto dump = dump_of(small_segment());
  if (std::getenv("MSP_UPDATE_GOLDEN") != nullptr) {
    page.replace(dump_begin, dump_end - dump_begin, dump);
    std::ofstream(kPage) << page;
    return;
  }
  CHECK(page.substr(dump_begin, dump_end - dump_begin) == dump);
}

}  // namespace msp
