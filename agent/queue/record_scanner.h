// Finds the good records in bytes that may be damaged anywhere. After damage it goes on at the next
// place where a whole record with a good checksum begins, and counts what it skipped. Bytes after
// the last good record are no damage but a tail: what a crash in the middle of a write leaves, to
// be cut off at good_end().
//
// Work is bounded: at most kWasteMax times the input is spent on checksums that turn out bad, so
// that bytes made to look like records cannot keep a reader busy. Bytes that would need more than
// that are skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/queue/format.h"

namespace msp::queue {

class RecordScanner {
 public:
  static constexpr std::uint64_t kWasteMax = 4;

  /// `bytes` outlive the scanner and its records. The first record is expected at `begin`, which is
  /// kSegmentHeaderSize for a whole segment.
  explicit RecordScanner(std::string_view bytes, std::size_t begin = 0);

  std::optional<Record> next();

  /// Where the last good record ends (`begin` if there was none), as an offset into the bytes.
  std::size_t good_end() const { return good_end_; }

  /// Places where bytes were skipped to get to a good record, and how many bytes in all.
  std::uint64_t damaged_regions() const { return damaged_regions_; }
  std::uint64_t damaged_bytes() const { return damaged_bytes_; }

  /// Bytes after the last good record; to be asked when next() has found no more.
  std::size_t tail_bytes() const { return bytes_.size() - good_end_; }

  /// Bytes that went through a checksum which was bad.
  std::uint64_t wasted_bytes() const { return wasted_bytes_; }

 private:
  std::string_view bytes_;
  std::size_t good_end_;
  std::uint64_t damaged_regions_ = 0;
  std::uint64_t damaged_bytes_ = 0;
  std::uint64_t wasted_bytes_ = 0;
  bool at_end_ = false;
};

}  // namespace msp::queue
