#include "agent/queue/segment_reader.h"

#include <algorithm>

#include "agent/queue/record_scanner.h"

namespace msp::queue {

Result<std::optional<Entry>> SegmentReader::next(const Segments::Segment& segment,
                                                 std::uint64_t sequence) {
  if (auto loaded = load(segment); !loaded) {
    const bool is_gone = loaded.error().kind == Error::Kind::no_data;
    clear();
    if (!is_gone) return loaded.error();
    lost_.push_back({std::max(sequence, segment.summary.first_sequence),
                     segment.summary.last_sequence, segment.summary.samples});
    return std::optional<Entry>();
  }
  if (sequence <= after_) {
    offset_ = kSegmentHeaderSize;
    after_ = 0;
  }
  const auto per_sequence = segment.summary.samples_per_sequence();
  const auto lose_until = [&](std::uint64_t end) {
    const auto first = std::max({sequence, after_ + 1, segment.summary.first_sequence});
    if (first < end) lost_.push_back({first, end - 1, (end - first) * per_sequence});
  };
  RecordScanner scanner(content_, std::min(offset_, content_.size()));
  std::uint64_t damaged_regions = 0;
  while (const auto record = scanner.next()) {
    offset_ = scanner.good_end();
    const auto head = entry_head(*record);
    const bool wanted = head && head->last_sequence >= sequence;
    ScrapeDecoder::Decoded decoded;
    const auto outcome = decoder_.feed(*record, wanted ? &decoded : nullptr);
    if (!head) continue;
    // Numbers that are missing without damage were never stored.
    if (std::exchange(damaged_regions, scanner.damaged_regions()) != scanner.damaged_regions()) {
      lose_until(head->first_sequence);
    }
    after_ = head->last_sequence;
    if (!wanted) continue;
    if (outcome != ScrapeDecoder::Outcome::scrape && outcome != ScrapeDecoder::Outcome::request) {
      lost_.push_back({head->first_sequence, head->last_sequence, head->samples});
      continue;
    }
    return std::optional<Entry>(Entry{decoded.first_sequence, decoded.last_sequence,
                                      std::move(decoded.scrape), std::move(decoded.request)});
  }
  if (scanner.tail_bytes() > 0) lose_until(segment.summary.last_sequence + 1);
  return std::optional<Entry>();
}

/// Brings content_ up to what is whole in the segment now.
Result<void> SegmentReader::load(const Segments::Segment& segment) {
  if (name_ != segment.name) {
    clear();
    name_ = segment.name;
    offset_ = kSegmentHeaderSize;
  }
  if (content_.size() >= segment.bytes) return {};
  const auto file = segment.folder->open(segment.name, Folder::Mode::read);
  if (!file) return file.error();
  const auto more = (*file)->read(content_.size(), segment.bytes - content_.size());
  if (!more) return more.error();
  content_ += *more;
  return {};
}

void SegmentReader::clear() {
  name_.clear();
  std::string().swap(content_);
  offset_ = 0;
  after_ = 0;
  decoder_.clear();
}

}  // namespace msp::queue
