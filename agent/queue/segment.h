// One file of the queue on disk: written at its end, read from its start (FORMAT.md has the bytes).
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/queue/entry.h"
#include "agent/queue/file_system.h"
#include "agent/queue/format.h"
#include "agent/queue/scrape_codec.h"

namespace msp::queue {

/// Appends entries to a new file. Whatever fails, the file ends behind a whole record or is known
/// to be torn.
class SegmentWriter {
 public:
  /// Writes the header. After an error there is no file that was not there before. `mode` is create,
  /// or write to replace a file of the same name.
  static Result<std::unique_ptr<SegmentWriter>> create(Folder& folder, const std::string& name,
                                                       Folder::Mode mode,
                                                       std::uint64_t first_sequence);

  /// After an error the entry is not in the segment, and the segment takes no more.
  Result<void> append(const Entry& entry);

  /// Writes the summary: the segment is full. An error leaves a segment without one, which is as
  /// good to read.
  Result<void> seal();
  Result<void> sync() { return file_->sync(); }

  const Summary& summary() const { return summary_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  SegmentWriter(std::unique_ptr<File> file, std::uint64_t first_sequence);

  std::unique_ptr<File> file_;
  ScrapeEncoder encoder_;
  std::string records_;  // kept for its capacity
  Summary summary_;
  std::set<std::string, std::less<>> streams_;  // names
  std::uint64_t bytes_ = 0;                     // up to the end of the last whole record
};

/// What a file holds that an earlier process wrote.
struct FoundSegment {
  enum class State {
    good,
    older_version,  // of a development build
    newer_version,  // another version of the agent will want it: not ours to touch
    unreadable,     // not one good entry in it
  };
  State state = State::unreadable;
  Summary summary;
  std::uint64_t bytes = 0;            // up to the end of the last whole record; if not good, all
  std::uint64_t damaged_regions = 0;  // where it had to be scanned
};

/// Looks at header and summary, and reads all of it only where there is no summary.
Result<FoundSegment> inspect_segment(const File& file);

/// The entries whose records are good in the first `bytes` of `file`.
Result<std::vector<EntryHead>> entries_in(const File& file, std::uint64_t bytes);

}  // namespace msp::queue
