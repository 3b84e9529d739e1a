#include "agent/queue/store_reader.h"

#include <algorithm>

#include "agent/queue/record_scanner.h"

namespace msp {

std::optional<ScrapeDecoder::Decoded> StoreReader::next(const Store& store,
                                                        std::uint64_t sequence) {
  while (const auto segment = store.find(sequence)) {
    const auto samples_per_scrape = segment->summary.samples_per_sequence();
    const auto expected = std::max(sequence, segment->summary.first_sequence);
    if (load(store, *segment)) {
      if (auto decoded = next_in_segment(expected)) {
        if (decoded->first_sequence > expected) {
          lost_.push_back({expected, decoded->first_sequence - 1, samples_per_scrape});
        }
        return decoded;
      }
    } else if (const auto still = store.find(sequence); !still || still->path != segment->path) {
      continue;  // a limit has just taken it, and counted it
    } else {
      ++damaged_;
    }
    // The rest of the segment cannot be read.
    lost_.push_back({expected, segment->summary.last_sequence, samples_per_scrape});
    sequence = segment->summary.last_sequence + 1;
  }
  clear();
  return std::nullopt;
}

/// Brings content_ up to what is whole in the segment now.
bool StoreReader::load(const Store& store, const Store::Segment& segment) {
  if (path_ != segment.path) {
    clear();
    path_ = segment.path;
    offset_ = kSegmentHeaderSize;
  }
  if (content_.size() >= segment.bytes) return true;
  const auto file = store.files().open(segment.path, FileSystem::Mode::read);
  if (!file) return false;
  const auto more = (*file)->read(content_.size(), segment.bytes - content_.size());
  if (!more) return false;
  content_ += *more;
  return true;
}

std::optional<ScrapeDecoder::Decoded> StoreReader::next_in_segment(std::uint64_t sequence) {
  if (sequence <= after_) {
    offset_ = kSegmentHeaderSize;
    after_ = 0;
  }
  RecordScanner scanner(content_, std::min(offset_, content_.size()));
  while (const auto record = scanner.next()) {
    offset_ = scanner.good_end();
    const auto head = entry_head(*record);
    const bool wanted = head && head->last_sequence >= sequence;
    ScrapeDecoder::Decoded decoded;
    if (decoder_.feed(*record, wanted ? &decoded : nullptr) != ScrapeDecoder::Outcome::scrape) {
      continue;
    }
    if (!wanted) continue;
    damaged_ += scanner.damaged_regions();
    after_ = decoded.last_sequence;
    return decoded;
  }
  damaged_ += scanner.damaged_regions() + (scanner.tail_bytes() > 0 ? 1 : 0);
  return std::nullopt;
}

void StoreReader::clear() {
  path_.clear();
  std::string().swap(content_);
  offset_ = 0;
  after_ = 0;
  decoder_.clear();
}

}  // namespace msp
