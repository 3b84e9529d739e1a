// The byte format of the disk queue, version 1. Pure functions of bytes: no files, no clock.
//
//   segment = header record*                                 integers are little-endian
//   header  = magic[8] version:u32 first_sequence:u64 checksum:u32                      24 bytes
//   record  = magic:u16 checksum:u32 type:u8 length:u24 payload[length]           10 bytes +
//   payload
//
// A checksum is the low half of XXH3-64: in the header over the 20 bytes before it, in a record
// over everything after it. These 24 bytes are the same in every later version, so that a newer
// segment is known as such and set aside; a header that fails its checksum is damage, whatever
// version it claims. The records of a segment can be read without its header.
//
//   type              payload (v = variable-length integer, bytes.h; s = the same, sign folded)
//   1 dictionary      hash:u64 content_size:v block
//   2 dictionary      hash:u64 base:u64 content_size:v runs:v run* block
//     change          run = count*2+1:v                 the next `count` series of the block
//                         | count*2:v skipped:s         `count` series of base, from where the last
//                                                       run in base ended plus `skipped`
//   3 keyframe        sequence:v samples:v timestamp_ms:s hash:u64 values (absolute)
//   4 delta           sequence:v samples:v predecessor:u32 timestamp:s values (changes)
//   5 summary         first_sequence, last_sequence, scrapes, samples: u64; first and last
//                     timestamp_ms: i64                  48 bytes; the last record of a full
//                     segment
//
// A dictionary is the list of a scrape's series, in the order of its values. Its content is, for
// each series, the length (v) and the bytes of Labels::flat(); its hash is XXH3-64 of that, and the
// reader checks it. A block is a zstd frame of the content, or the content itself where the block
// has exactly content_size bytes. In a change the block holds only the new series, and zstd was
// given some series of base that stand near them as a prefix (dictionary.cpp): a device that comes
// or goes costs tens of bytes. Metric type and help are not stored; they are looked up by name when
// a sample is sent.
//
// A keyframe needs its dictionary and nothing else. A delta needs the scrape of sequence - 1, and
// to be sure of it names the checksum of that scrape's record; its timestamp is the change of the
// interval between scrapes. How values are written is said in value_codec.h.
//
// Why so:
// - The bytes of the record magic occur nowhere in UTF-8, so that a reader who looks for the next
// good
//   record after damage does not stop at every label that an attacker chose.
// - A damaged delta costs the rest of its group, hence a keyframe every 20 scrapes (5 minutes at
//   15 s); more often would cost more than the deltas. One also follows every change of the series,
//   every gap in the sequence and every clock that did not go forward.
// - A damaged dictionary costs all up to the next full one, hence the full one again every 64 KiB,
// or
//   every 8 times its own size where that is more: at most an eighth is spent on it.
// - 24 bits of length are enough for kSeriesMax values of 10 bytes; the limits below keep a record
//   that lies from making its reader allocate more than kContentBytesMax.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace msp {

inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::size_t kSegmentHeaderSize = 24;
inline constexpr std::size_t kRecordHeaderSize = 10;
inline constexpr std::size_t kPayloadMax = (1 << 24) - 1;
inline constexpr std::size_t kSummarySize = kRecordHeaderSize + 48;
inline constexpr std::size_t kSeriesMax = 1 << 18;          // of one scrape
inline constexpr std::size_t kContentBytesMax = 32u << 20;  // of one dictionary
inline constexpr std::size_t kExpansionMax = 256;           // content_size by block size
inline constexpr unsigned kKeyframeEvery = 20;              // scrapes
inline constexpr std::size_t kDictionaryEveryBytes = 64 << 10;
inline constexpr std::size_t kDictionaryEveryTimesItself = 8;
inline constexpr char kRecordMagic[] = "\xf7\xfb";

enum class RecordType : std::uint8_t {
  dictionary = 1,
  dictionary_change = 2,
  keyframe = 3,
  delta = 4,
  summary = 5,
};

/// A record whose checksum is good. Valid as long as the bytes it was found in.
struct Record {
  RecordType type{};  // may be none of the above
  std::uint32_t checksum = 0;
  std::string_view payload;

  std::size_t size() const { return kRecordHeaderSize + payload.size(); }
};

struct SegmentHeader {
  enum class State { good, newer_version, damaged };
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

/// What a keyframe or delta says of itself, without its values.
struct ScrapeHead {
  std::uint64_t sequence = 0;
  std::uint64_t samples = 0;
  bool is_keyframe = false;
};

/// Nothing where the record is not a scrape.
std::optional<ScrapeHead> scrape_head(const Record& record);

/// What a full segment says of itself.
struct Summary {
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::uint64_t scrapes = 0;
  std::uint64_t samples = 0;
  std::int64_t first_timestamp_ms = 0;
  std::int64_t last_timestamp_ms = 0;

  std::uint64_t samples_per_scrape() const { return scrapes > 0 ? samples / scrapes : samples; }

  friend bool operator==(const Summary&, const Summary&) = default;
};

void append_summary(const Summary& summary, std::string& out);
std::optional<Summary> parse_summary(const Record& record);

/// Of the end of a segment (kSummarySize bytes or more). Nothing where it does not end with one.
std::optional<Summary> summary_at_end(std::string_view bytes);

/// XXH3-64 of a dictionary's content, given piece by piece.
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

}  // namespace msp
