// The byte format of the disk queue, version 2: headers, records and what records say of
// themselves. FORMAT.md beside this file has the tables, the reasons and a commented dump.
//
//   segment = header record*
//   header  = magic[8] version:u32 first_sequence:u64 checksum:u32                  24 bytes
//   record  = magic:u16 checksum:u32 type:u8 length:u24 payload[length]             10 + length
//
// Pure functions of bytes: no files, no clock. Integers are little-endian; what is in a payload is
// read and written by scrape_codec, dictionary and value_codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/metrics/sample.h"

namespace msp::queue {

inline constexpr std::uint32_t kFormatVersion = 2;
inline constexpr std::size_t kSegmentHeaderSize = 24;
inline constexpr std::size_t kRecordHeaderSize = 10;
inline constexpr std::size_t kPayloadMax = (1 << 24) - 1;
inline constexpr std::size_t kSummarySize = kRecordHeaderSize + 60;
inline constexpr std::size_t kSeriesMax = 1 << 18;          // of one scrape
inline constexpr std::size_t kContentBytesMax = 32u << 20;  // of the labels of one scrape
inline constexpr std::size_t kExpansionMax = 256;           // content_size by block size
inline constexpr std::size_t kStreamNameMax = 1024;
inline constexpr std::size_t kStreamsMax = 256;          // live at once
inline constexpr std::size_t kLiveBytesMax = 64u << 20;  // of the labels of all live streams
inline constexpr unsigned kKeyframeEvery = 20;           // scrapes of a stream
inline constexpr std::size_t kDictionaryEveryBytes = 64 << 10;
inline constexpr std::size_t kDictionaryEveryTimesItself = 8;
inline constexpr char kRecordMagic[] = "\xf7\xfb";

enum class RecordType : std::uint8_t {
  dictionary = 1,
  dictionary_change = 2,
  keyframe = 3,
  delta = 4,
  summary = 5,
  request = 6,
  done = 7,  // of the write-ahead log only: a consumer is done with entries
};

/// A record whose checksum is good. Valid as long as the bytes it was found in.
struct Record {
  RecordType type{};  // may be none of the above
  std::uint32_t checksum = 0;
  std::string_view payload;

  std::size_t size() const { return kRecordHeaderSize + payload.size(); }
};

struct SegmentHeader {
  enum class State { good, older_version, newer_version, damaged };
  State state = State::damaged;
  std::uint32_t version = 0;
  std::uint64_t first_sequence = 0;
};

std::string make_segment_header(std::uint64_t first_sequence);

/// Of the first bytes of a file. `damaged` too where there are fewer than kSegmentHeaderSize.
SegmentHeader parse_segment_header(std::string_view bytes);

/// Begins a record at the end of `out` and returns where; the payload is to be appended behind.
std::size_t begin_record(std::string& out);

/// Ends the record that begins at `begin`: its payload is the rest of `out`, at most kPayloadMax
/// bytes. Returns its checksum.
std::uint32_t end_record(std::string& out, std::size_t begin, RecordType type);

/// Bytes of the record that `bytes` seem to begin with, going by the header alone; 0 where there
/// can be none.
std::size_t candidate_size(std::string_view bytes);

/// The record that `bytes` begin with, if it is whole and its checksum good.
std::optional<Record> record_at(std::string_view bytes);

/// What a keyframe, a delta or a request says of itself, without its values.
struct EntryHead {
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;  // the first, unless requests were joined
  std::uint64_t samples = 0;
};

/// Nothing where the record is neither a scrape nor a request.
std::optional<EntryHead> entry_head(const Record& record);

/// Its name; empty where there is none.
inline std::string_view name_of(const metrics::StreamPtr& stream) {
  return stream ? std::string_view(stream->name) : std::string_view();
}

/// What a full segment says of itself.
struct Summary {
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::uint64_t scrapes = 0;
  std::uint64_t requests = 0;  // records: several that were joined are one
  std::uint64_t samples = 0;
  std::int64_t first_timestamp_ms = 0;  // the smallest of all samples, whatever their order
  std::int64_t last_timestamp_ms = 0;   // the largest
  std::uint32_t streams = 0;

  std::uint64_t entries() const { return scrapes + requests; }
  /// On the average, of a sequence that cannot be read any more.
  std::uint64_t samples_per_sequence() const {
    const auto sequences = last_sequence - first_sequence + 1;
    return entries() > 0 && sequences > 0 ? samples / sequences : samples;
  }

  friend bool operator==(const Summary&, const Summary&) = default;
};

void append_summary(const Summary& summary, std::string& out);
std::optional<Summary> parse_summary(const Record& record);

/// Of the end of a segment (kSummarySize bytes or more). Nothing where it does not end with one.
std::optional<Summary> summary_at_end(std::string_view bytes);

/// XXH3-64 of bytes given piece by piece.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  void add(std::string_view bytes);
  std::uint64_t value() const;

 private:
  void* state_;
};

}  // namespace msp::queue
