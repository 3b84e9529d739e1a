// Reads the store for one endpoint, in order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/queue/scrape_codec.h"
#include "agent/queue/store.h"

namespace msp {

/// Holds one segment in memory while there is something to read. One thread at a time.
class StoreReader {
 public:
  struct Lost {
    std::uint64_t first, last;         // sequences
    std::uint64_t samples_per_scrape;  // on the average of the segment
  };

  /// The first scrape from `sequence` on, or nothing: none is there, or none can be read. To be
  /// asked for growing sequences; going back costs reading a segment again.
  std::optional<ScrapeDecoder::Decoded> next(const Store& store, std::uint64_t sequence);

  /// Places where there was no good record.
  std::uint64_t damaged() const { return damaged_; }
  /// What was there and could not be read, since the last call.
  std::vector<Lost> take_lost() { return std::exchange(lost_, {}); }

 private:
  bool load(const Store& store, const Store::Segment& segment);
  std::optional<ScrapeDecoder::Decoded> next_in_segment(std::uint64_t sequence);
  void clear();

  std::string path_;  // of the segment in content_; empty: none
  std::string content_;
  std::size_t offset_ = 0;   // of the next record in it
  std::uint64_t after_ = 0;  // sequence of the last scrape that was read from it
  ScrapeDecoder decoder_;
  std::uint64_t damaged_ = 0;
  std::vector<Lost> lost_;
};

}  // namespace msp
