// Reads segments for one consumer, in order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/queue/scrape_codec.h"
#include "agent/queue/segments.h"

namespace msp::queue {

/// Holds one segment in memory while there is something to read. One thread at a time.
class SegmentReader {
 public:
  struct Lost {
    std::uint64_t first, last;  // sequences
    std::uint64_t samples;      // of those entries as far as it is known, otherwise by the average
  };

  /// The first entry of the segment from `sequence` on; nothing where none is left that can be
  /// read. An error is that of a file that cannot be read now: nothing is lost. To be asked for
  /// growing sequences; going back costs reading the segment again.
  Result<std::optional<Entry>> next(const Segments::Segment& segment, std::uint64_t sequence);

  /// What was there and its content could not be read, since the last call.
  std::vector<Lost> take_lost() { return std::exchange(lost_, {}); }

  /// Gives all memory back.
  void clear();

 private:
  Result<void> load(const Segments::Segment& segment);

  std::string name_;  // of the segment in content_; empty: none
  std::string content_;
  std::size_t offset_ = 0;   // of the next record in it
  std::uint64_t after_ = 0;  // last sequence that was looked at in it
  ScrapeDecoder decoder_;
  std::vector<Lost> lost_;
};

}  // namespace msp::queue
