// One file of the store: written at its end, read from its start (FORMAT.md says what is in it).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/metrics/sample.h"
#include "agent/queue/file_system.h"
#include "agent/queue/format.h"
#include "agent/queue/request.h"
#include "agent/queue/scrape_codec.h"

namespace msp {

/// Counts what goes into a segment.
class SummaryBuilder {
 public:
  explicit SummaryBuilder(std::uint64_t first_sequence = 0) {
    summary_.first_sequence = first_sequence;
  }
  void add(std::uint64_t sequence, const Scrape& scrape);
  void add(std::uint64_t first_sequence, std::uint64_t last_sequence, const Request& request);
  const Summary& summary() const { return summary_; }

 private:
  void extend(std::uint64_t first_sequence, std::uint64_t last_sequence, std::uint64_t samples,
              std::int64_t first_timestamp_ms, std::int64_t last_timestamp_ms,
              const StreamPtr& stream);

  Summary summary_;
  std::set<std::string, std::less<>> streams_;
};

/// Appends scrapes and requests to a new file. Whatever fails, the file ends behind a whole record or is known
/// to be torn.
class SegmentWriter {
 public:
  /// Writes the header. An error leaves at most an empty file.
  static Result<std::unique_ptr<SegmentWriter>> create(FileSystem& files, const std::string& path,
                                                       std::uint64_t first_sequence);

  /// After an error the entry is not in the segment, and the segment takes no more.
  Result<void> append(std::uint64_t sequence, const Scrape& scrape);
  Result<void> append(std::uint64_t first_sequence, std::uint64_t last_sequence,
                      const Request& request);

  /// Writes the summary: the segment is full. An error leaves a segment without one, which is as
  /// good to read.
  Result<void> seal();
  Result<void> sync() { return file_->sync(); }

  const Summary& summary() const { return summary_.summary(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  SegmentWriter(std::unique_ptr<File> file, std::uint64_t first_sequence);
  Result<void> write(const Result<void>& encoded);

  std::unique_ptr<File> file_;
  ScrapeEncoder encoder_;
  std::string records_;  // kept for its capacity
  SummaryBuilder summary_;
  std::uint64_t bytes_ = 0;  // up to the end of the last whole record
};

/// What a file holds that an earlier process wrote.
struct FoundSegment {
  enum class State {
    good,
    older_version,  // of a development build; nothing reads it any more
    newer_version,  // another version of the agent will want it: not ours to touch
    unreadable,     // not one good scrape or request in it
  };
  State state = State::unreadable;
  std::uint32_t version = 0;  // of an older or a newer one
  Summary summary;
  std::uint64_t bytes = 0;            // up to the end of the last whole record; if not good, all
  std::uint64_t damaged_regions = 0;  // where it had to be scanned
};

/// Looks at header and summary, and reads all of it only where there is no summary.
Result<FoundSegment> inspect_segment(const File& file);

/// The scrapes and requests whose records are good in the first `bytes` of `file`.
Result<std::vector<EntryHead>> entries_in(const File& file, std::uint64_t bytes);

}  // namespace msp
