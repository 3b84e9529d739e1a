#include "agent/queue/format.h"

#include <cstring>
#include <new>

#include "agent/queue/bytes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace msp::queue {
namespace {

constexpr std::string_view kSegmentMagic = "mspqueue";
constexpr std::size_t kChecksumAt = 2;  // in a record, behind the magic
constexpr std::size_t kTypeAt = 6;      // type and length, the first bytes under the checksum

std::uint32_t checksum_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

template <typename Integer>
Integer integer_at(std::string_view bytes, std::size_t at) {
  Integer value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace

std::string make_segment_header(std::uint64_t first_sequence) {
  std::string header(kSegmentMagic);
  append_fixed(header, kFormatVersion);
  append_fixed(header, first_sequence);
  append_fixed(header, checksum_of(header));
  return header;
}

SegmentHeader parse_segment_header(std::string_view bytes) {
  SegmentHeader header;
  if (bytes.size() < kSegmentHeaderSize || !bytes.starts_with(kSegmentMagic)) return header;
  const auto checked = bytes.substr(0, kSegmentHeaderSize - sizeof(std::uint32_t));
  if (integer_at<std::uint32_t>(bytes, checked.size()) != checksum_of(checked)) return header;
  header.version = integer_at<std::uint32_t>(bytes, kSegmentMagic.size());
  header.first_sequence =
      integer_at<std::uint64_t>(bytes, kSegmentMagic.size() + sizeof header.version);
  if (header.version == kFormatVersion) header.state = SegmentHeader::State::good;
  if (header.version < kFormatVersion) header.state = SegmentHeader::State::older_version;
  if (header.version > kFormatVersion) header.state = SegmentHeader::State::newer_version;
  return header;
}

std::size_t begin_record(std::string& out) {
  const auto begin = out.size();
  out.append(kRecordHeaderSize, '\0');
  return begin;
}

std::uint32_t end_record(std::string& out, std::size_t begin, RecordType type) {
  const auto length = static_cast<std::uint32_t>(out.size() - begin - kRecordHeaderSize);
  const auto type_and_length = static_cast<std::uint32_t>(type) | length << 8;
  std::memcpy(&out[begin + kTypeAt], &type_and_length, sizeof type_and_length);
  const auto checksum = checksum_of(std::string_view(out).substr(begin + kTypeAt));
  std::memcpy(&out[begin], kRecordMagic, kChecksumAt);
  std::memcpy(&out[begin + kChecksumAt], &checksum, sizeof checksum);
  return checksum;
}

std::size_t candidate_size(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderSize || !bytes.starts_with(kRecordMagic)) return 0;
  const auto size = kRecordHeaderSize + (integer_at<std::uint32_t>(bytes, kTypeAt) >> 8);
  return size <= bytes.size() ? size : 0;
}

std::optional<Record> record_at(std::string_view bytes) {
  const auto size = candidate_size(bytes);
  if (size == 0) return std::nullopt;
  const auto checksum = integer_at<std::uint32_t>(bytes, kChecksumAt);
  if (checksum != checksum_of(bytes.substr(kTypeAt, size - kTypeAt))) return std::nullopt;
  const auto type = static_cast<RecordType>(bytes[kTypeAt]);
  return Record{type, checksum, bytes.substr(kRecordHeaderSize, size - kRecordHeaderSize)};
}

std::optional<EntryHead> entry_head(const Record& record) {
  const bool is_request = record.type == RecordType::request;
  const bool is_scrape = record.type == RecordType::keyframe || record.type == RecordType::delta;
  if (!is_request && !is_scrape) return std::nullopt;
  ByteReader reader(record.payload);
  EntryHead head;
  head.first_sequence = reader.varint();
  head.last_sequence = head.first_sequence;
  if (is_request) {
    head.last_sequence += reader.varint();
  } else {
    reader.varint();  // stream
  }
  head.samples = reader.varint();
  if (!reader.ok() || head.last_sequence < head.first_sequence) return std::nullopt;
  if (is_scrape && head.samples > kSeriesMax) return std::nullopt;
  return head;
}

void append_summary(const Summary& summary, std::string& out) {
  const auto begin = begin_record(out);
  append_fixed(out, summary.first_sequence);
  append_fixed(out, summary.last_sequence);
  append_fixed(out, summary.scrapes);
  append_fixed(out, summary.requests);
  append_fixed(out, summary.samples);
  append_fixed(out, summary.first_timestamp_ms);
  append_fixed(out, summary.last_timestamp_ms);
  append_fixed(out, summary.streams);
  end_record(out, begin, RecordType::summary);
}

std::optional<Summary> parse_summary(const Record& record) {
  if (record.type != RecordType::summary || record.size() != kSummarySize) return std::nullopt;
  ByteReader reader(record.payload);
  Summary summary;
  summary.first_sequence = reader.fixed<std::uint64_t>();
  summary.last_sequence = reader.fixed<std::uint64_t>();
  summary.scrapes = reader.fixed<std::uint64_t>();
  summary.requests = reader.fixed<std::uint64_t>();
  summary.samples = reader.fixed<std::uint64_t>();
  summary.first_timestamp_ms = reader.fixed<std::int64_t>();
  summary.last_timestamp_ms = reader.fixed<std::int64_t>();
  summary.streams = reader.fixed<std::uint32_t>();
  return summary;
}

std::optional<Summary> summary_at_end(std::string_view bytes) {
  if (bytes.size() < kSummarySize) return std::nullopt;
  const auto record = record_at(bytes.substr(bytes.size() - kSummarySize));
  return record ? parse_summary(*record) : std::nullopt;
}

ContentHash::ContentHash() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(static_cast<XXH3_state_t*>(state_));
}

ContentHash::~ContentHash() {
  XXH3_freeState(static_cast<XXH3_state_t*>(state_));
}

void ContentHash::add(std::string_view bytes) {
  XXH3_64bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size());
}

std::uint64_t ContentHash::value() const {
  return XXH3_64bits_digest(static_cast<const XXH3_state_t*>(state_));
}

}  // namespace msp::queue
