#include "agent/queue/segment.h"

#include "agent/base/text.h"
#include "agent/queue/record_scanner.h"

namespace msp {
namespace {

// One scrape and its dictionary, as large as they may be, on top of a full segment.
constexpr std::uint64_t kSegmentFileMax = 64 << 20;

void extend(Summary& summary, std::uint64_t sequence, const Scrape& scrape) {
  if (summary.scrapes++ == 0) {
    summary.first_sequence = sequence;
    summary.first_timestamp_ms = scrape.timestamp_ms;
  }
  summary.last_sequence = sequence;
  summary.last_timestamp_ms = scrape.timestamp_ms;
  summary.samples += scrape.values.size();
}

/// For a segment without a summary: what can be decoded is what there is.
FoundSegment scan(std::string_view content) {
  FoundSegment found;
  RecordScanner scanner(content, kSegmentHeaderSize);
  ScrapeDecoder decoder;
  while (const auto record = scanner.next()) {
    ScrapeDecoder::Decoded decoded;
    if (decoder.feed(*record, &decoded) != ScrapeDecoder::Outcome::scrape) continue;
    extend(found.summary, decoded.sequence, *decoded.scrape);
  }
  found.bytes = scanner.good_end();
  found.damaged_regions = scanner.damaged_regions();
  if (found.summary.scrapes > 0) found.state = FoundSegment::State::good;
  return found;
}

}  // namespace

SegmentWriter::SegmentWriter(std::unique_ptr<File> file, std::uint64_t first_sequence)
    : file_(std::move(file)) {
  summary_.first_sequence = first_sequence;
}

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
  if (auto encoded = encoder_.encode(sequence, scrape, records_); !encoded) return encoded;
  if (auto written = file_->write(bytes_, records_); !written) {
    // A reader copes with a torn tail, so it does no harm if this fails as well.
    static_cast<void>(file_->truncate(bytes_));
    return written;
  }
  bytes_ += records_.size();
  extend(summary_, sequence, scrape);
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
  if (*size >= kSegmentHeaderSize + kSummarySize) {
    const auto end = file.read(*size - kSummarySize, kSummarySize);
    if (!end) return end.error();
    if (const auto summary = summary_at_end(*end); summary && summary->scrapes > 0) {
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

Result<std::vector<ScrapeHead>> scrapes_in(const File& file, std::uint64_t bytes) {
  const auto content = file.read(0, bytes);
  if (!content) return content.error();
  std::vector<ScrapeHead> scrapes;
  RecordScanner scanner(*content, kSegmentHeaderSize);
  while (const auto record = scanner.next()) {
    if (const auto head = scrape_head(*record)) scrapes.push_back(*head);
  }
  return scrapes;
}

}  // namespace msp
