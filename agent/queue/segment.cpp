#include "agent/queue/segment.h"

#include <algorithm>

#include "agent/queue/record_scanner.h"

namespace msp {
namespace {

// One scrape and its dictionary, as large as they may be, on top of a full segment.
constexpr std::uint64_t kSegmentFileMax = 64 << 20;

/// For a segment without a summary: what can be decoded is what there is.
FoundSegment scan(std::string_view content) {
  FoundSegment found;
  RecordScanner scanner(content, kSegmentHeaderSize);
  ScrapeDecoder decoder;
  SummaryBuilder summary;
  while (const auto record = scanner.next()) {
    ScrapeDecoder::Decoded decoded;
    static_cast<void>(decoder.feed(*record, &decoded));
    if (decoded.scrape) summary.add(decoded.first_sequence, *decoded.scrape);
    if (decoded.request) {
      summary.add(decoded.first_sequence, decoded.last_sequence, *decoded.request);
    }
  }
  found.summary = summary.summary();
  found.bytes = scanner.good_end();
  found.damaged_regions = scanner.damaged_regions();
  if (found.summary.entries() > 0) found.state = FoundSegment::State::good;
  return found;
}

}  // namespace

void SummaryBuilder::add(std::uint64_t sequence, const Scrape& scrape) {
  extend(sequence, sequence, scrape.values.size(), scrape.timestamp_ms, scrape.timestamp_ms,
         scrape.stream);
  ++summary_.scrapes;
}

void SummaryBuilder::add(std::uint64_t first_sequence, std::uint64_t last_sequence,
                         const Request& request) {
  extend(first_sequence, last_sequence, request.samples, request.first_timestamp_ms,
         request.last_timestamp_ms, request.stream);
  ++summary_.requests;
}

void SummaryBuilder::extend(std::uint64_t first_sequence, std::uint64_t last_sequence,
                            std::uint64_t samples, std::int64_t first_timestamp_ms,
                            std::int64_t last_timestamp_ms, const StreamPtr& stream) {
  if (summary_.entries() == 0) {
    summary_.first_sequence = first_sequence;
    summary_.first_timestamp_ms = first_timestamp_ms;
    summary_.last_timestamp_ms = last_timestamp_ms;
  }
  summary_.last_sequence = last_sequence;
  summary_.samples += samples;
  summary_.first_timestamp_ms = std::min(summary_.first_timestamp_ms, first_timestamp_ms);
  summary_.last_timestamp_ms = std::max(summary_.last_timestamp_ms, last_timestamp_ms);
  streams_.insert(stream ? stream->name : std::string());
  summary_.streams = static_cast<std::uint32_t>(streams_.size());
}

SegmentWriter::SegmentWriter(std::unique_ptr<File> file, std::uint64_t first_sequence)
    : file_(std::move(file)), summary_(first_sequence) {}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(FileSystem& files,
                                                             const std::string& path,
                                                             std::uint64_t first_sequence) {
  auto file = files.open(path, FileSystem::Mode::write);
  if (!file) return file.error();
  if (const auto done = (*file)->truncate(0); !done) return done.error();
  const auto header = make_segment_header(first_sequence);
  if (const auto done = (*file)->write(0, header); !done) return done.error();
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(std::move(*file), first_sequence));
  writer->bytes_ = header.size();
  return writer;
}

Result<void> SegmentWriter::append(std::uint64_t sequence, const Scrape& scrape) {
  records_.clear();
  if (auto written = write(encoder_.encode(sequence, scrape, records_)); !written) return written;
  summary_.add(sequence, scrape);
  return {};
}

Result<void> SegmentWriter::append(std::uint64_t first_sequence, std::uint64_t last_sequence,
                                   const Request& request) {
  records_.clear();
  const auto encoded = encoder_.encode(first_sequence, last_sequence, request, records_);
  if (auto written = write(encoded); !written) return written;
  summary_.add(first_sequence, last_sequence, request);
  return {};
}

Result<void> SegmentWriter::seal() {
  records_.clear();
  append_summary(summary_.summary(), records_);
  return write({});
}

/// Writes records_, if they were `encoded`.
Result<void> SegmentWriter::write(const Result<void>& encoded) {
  if (!encoded) return encoded;
  if (auto written = file_->write(bytes_, records_); !written) {
    // A reader copes with a torn tail, so it does no harm if this fails as well.
    static_cast<void>(file_->truncate(bytes_));
    return written;
  }
  bytes_ += records_.size();
  return {};
}

Result<FoundSegment> inspect_segment(const File& file) {
  const auto size = file.size();
  if (!size) return size.error();
  const auto start = file.read(0, kSegmentHeaderSize);
  if (!start) return start.error();
  const auto header = parse_segment_header(*start);
  if (header.state == SegmentHeader::State::older_version ||
      header.state == SegmentHeader::State::newer_version) {
    const bool is_older = header.state == SegmentHeader::State::older_version;
    return FoundSegment{
        .state = is_older ? FoundSegment::State::older_version : FoundSegment::State::newer_version,
        .version = header.version,
        .summary = {},
        .bytes = *size};
  }
  if (*size >= kSegmentHeaderSize + kSummarySize) {
    const auto end = file.read(*size - kSummarySize, kSummarySize);
    if (!end) return end.error();
    if (const auto summary = summary_at_end(*end); summary && summary->entries() > 0) {
      return FoundSegment{FoundSegment::State::good, header.version, *summary, *size, 0};
    }
  }
  // Not one of ours, and nothing to be read into memory.
  if (*size > kSegmentFileMax) return FoundSegment{.summary = {}, .bytes = *size};
  const auto content = file.read(0, *size);
  if (!content) return content.error();
  auto found = scan(*content);
  if (found.state == FoundSegment::State::unreadable) found.bytes = *size;
  return found;
}

Result<std::vector<EntryHead>> entries_in(const File& file, std::uint64_t bytes) {
  const auto content = file.read(0, bytes);
  if (!content) return content.error();
  std::vector<EntryHead> entries;
  RecordScanner scanner(*content, kSegmentHeaderSize);
  while (const auto record = scanner.next()) {
    if (const auto head = entry_head(*record)) entries.push_back(*head);
  }
  return entries;
}

}  // namespace msp
