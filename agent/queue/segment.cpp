#include "agent/queue/segment.h"

#include <algorithm>
#include <utility>

#include "agent/base/text.h"
#include "agent/queue/record_scanner.h"

namespace msp::queue {
namespace {

// One scrape and its dictionary, as large as they may be, on top of a full segment.
constexpr std::uint64_t kSegmentFileMax = 64 << 20;

void extend(Summary& summary, std::set<std::string, std::less<>>& streams, const Entry& entry) {
  if (summary.entries() == 0) {
    summary.first_sequence = entry.first_sequence;
    summary.first_timestamp_ms = entry.first_timestamp_ms();
    summary.last_timestamp_ms = entry.last_timestamp_ms();
  }
  ++(entry.scrape ? summary.scrapes : summary.requests);
  summary.last_sequence = entry.last_sequence;
  summary.first_timestamp_ms = std::min(summary.first_timestamp_ms, entry.first_timestamp_ms());
  summary.last_timestamp_ms = std::max(summary.last_timestamp_ms, entry.last_timestamp_ms());
  summary.samples += entry.samples();
  if (streams.find(entry.stream_name()) == streams.end()) {
    streams.emplace(entry.stream_name());
    ++summary.streams;
  }
}

/// For a segment without a summary: what can be decoded is what there is.
FoundSegment scan(std::string_view content) {
  FoundSegment found;
  RecordScanner scanner(content, kSegmentHeaderSize);
  ScrapeDecoder decoder;
  std::set<std::string, std::less<>> streams;
  while (const auto record = scanner.next()) {
    ScrapeDecoder::Decoded decoded;
    const auto outcome = decoder.feed(*record, &decoded);
    if (outcome != ScrapeDecoder::Outcome::scrape && outcome != ScrapeDecoder::Outcome::request) {
      continue;
    }
    extend(found.summary, streams,
           {decoded.first_sequence, decoded.last_sequence, std::move(decoded.scrape),
            std::move(decoded.request)});
  }
  found.bytes = scanner.good_end();
  found.damaged_regions = scanner.damaged_regions();
  if (found.summary.entries() > 0) found.state = FoundSegment::State::good;
  return found;
}

}  // namespace

SegmentWriter::SegmentWriter(std::unique_ptr<File> file, std::uint64_t first_sequence)
    : file_(std::move(file)) {
  summary_.first_sequence = first_sequence;
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(Folder& folder,
                                                             const std::string& name,
                                                             Folder::Mode mode,
                                                             std::uint64_t first_sequence) {
  auto file = folder.open(name, mode);
  if (!file) return file.error();
  const auto header = make_segment_header(first_sequence);
  auto done = (*file)->truncate(0);
  if (done) done = (*file)->write(0, header);
  if (!done) {
    static_cast<void>(folder.remove(name));  // it was made here
    return done.error();
  }
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(std::move(*file), first_sequence));
  writer->bytes_ = header.size();
  return writer;
}

Result<void> SegmentWriter::append(const Entry& entry) {
  records_.clear();
  const auto encoded = entry.scrape ? encoder_.encode(entry.first_sequence, *entry.scrape, records_)
                                    : encoder_.encode(entry.first_sequence, entry.last_sequence,
                                                      *entry.request, records_);
  if (!encoded) return encoded.error();
  if (auto written = file_->write(bytes_, records_); !written) {
    // A reader copes with a torn tail, so it does no harm if this fails as well.
    static_cast<void>(file_->truncate(bytes_));
    return written;
  }
  bytes_ += records_.size();
  extend(summary_, streams_, entry);
  return {};
}

Result<void> SegmentWriter::seal() {
  records_.clear();
  append_summary(summary_, records_);
  if (auto written = file_->write(bytes_, records_); !written) {
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
  if (header.state == SegmentHeader::State::newer_version) {
    return FoundSegment{.state = FoundSegment::State::newer_version, .summary = {}, .bytes = *size};
  }
  if (header.state == SegmentHeader::State::older_version) {
    return FoundSegment{.state = FoundSegment::State::older_version, .summary = {}, .bytes = *size};
  }
  if (*size >= kSegmentHeaderSize + kSummarySize) {
    const auto end = file.read(*size - kSummarySize, kSummarySize);
    if (!end) return end.error();
    if (const auto summary = summary_at_end(*end); summary && summary->entries() > 0) {
      return FoundSegment{FoundSegment::State::good, *summary, *size, 0};
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

}  // namespace msp::queue
