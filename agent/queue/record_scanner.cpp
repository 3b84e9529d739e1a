#include "agent/queue/record_scanner.h"

#include <algorithm>

namespace msp::queue {

RecordScanner::RecordScanner(std::string_view bytes, std::size_t begin)
    : bytes_(bytes), good_end_(std::min(begin, bytes.size())) {}

std::optional<Record> RecordScanner::next() {
  if (at_end_) return std::nullopt;
  auto at = good_end_;
  while (at != std::string_view::npos) {
    const auto rest = bytes_.substr(at);
    const auto size = candidate_size(rest);
    if (size != 0 && wasted_bytes_ + size <= kWasteMax * bytes_.size()) {
      if (const auto record = record_at(rest)) {
        if (at != good_end_) {
          ++damaged_regions_;
          damaged_bytes_ += at - good_end_;
        }
        good_end_ = at + size;
        return record;
      }
      wasted_bytes_ += size;
    }
    at = bytes_.find(kRecordMagic, at + 1);
  }
  at_end_ = true;
  return std::nullopt;
}

}  // namespace msp::queue
