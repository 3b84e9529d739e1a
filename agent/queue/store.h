// The segments on disk, oldest first, each named by the sequence of its first scrape
// (0000000000000001.seg). One thread writes (the disk thread); readers of other threads see whole
// records only.
//
// A segment ends at about kSegmentBytes (or an eighth of the store's limit). It is removed when all
// endpoints are past it, or when a limit takes it. What cannot be read at all is set aside as
// *.bad, at most kBadFilesMax of them; a segment of a newer version is left alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/queue/acknowledged.h"
#include "agent/queue/file_system.h"
#include "agent/queue/segment.h"

namespace msp {

class Store {
 public:
  static constexpr std::uint64_t kSegmentBytes = 1 << 20;
  static constexpr std::size_t kBadFilesMax = 4;

  struct Segment {
    std::string path;
    Summary summary;
    std::uint64_t bytes = 0;  // whole records
  };
  struct Totals {
    std::size_t segments = 0;
    std::uint64_t bytes = 0;
  };

  /// `files` outlives the store.
  Store(FileSystem& files, std::string folder, std::uint64_t segment_bytes)
      : files_(files), folder_(std::move(folder)), segment_bytes_(segment_bytes) {}

  // The disk thread's, until it says otherwise.

  /// Makes the folder, and takes over the segments that an earlier process left. May be called
  /// again after an error.
  Result<void> open();
  bool is_open() const { return open_; }

  /// Appends; in memory of the kernel until sync(). After an error the scrape is not in the store,
  /// and what is in it is synced.
  Result<void> append(std::uint64_t sequence, const Scrape& scrape);

  /// After an error nothing that was appended since the last sync is in the store: the kernel may
  /// have let go of it, and a second sync would not tell.
  Result<void> sync();

  /// Removes the oldest segment, whatever is in it.
  void remove_oldest();

  /// Removes segments that hold nothing from `sequence` on.
  void remove_before(std::uint64_t sequence);

  // Any thread.

  std::optional<Segment> oldest() const;
  /// The first segment that has something from `sequence` on.
  std::optional<Segment> find(std::uint64_t sequence) const;
  /// The last sequence that was ever stored here, 0: none.
  std::uint64_t last_sequence() const;
  Totals totals() const;
  /// Samples of the segment that are not acknowledged; where something of it cannot be read, by
  /// the average. Reads the segment if it is acknowledged in part.
  std::uint64_t count_in_segment(const Segment& segment, const Acknowledged& acknowledged) const;
  /// The same of all segments.
  std::uint64_t count_samples(const Acknowledged& acknowledged) const;
  /// What is missing between segments: it was acknowledged before it came here, or it is lost.
  std::vector<Acknowledged::Range> holes() const;
  /// Damaged regions, and segments set aside, that open() came upon.
  std::uint64_t damaged() const;

  FileSystem& files() const { return files_; }
  const std::string& folder() const { return folder_; }

 private:
  std::string segment_path(std::uint64_t first_sequence) const;
  void take_over(const std::string& name, std::deque<Segment>& found);
  void set_aside(const std::string& path, std::string_view suffix);
  void limit_bad_files();
  Result<void> end_segment();
  void mark_synced();
  void forget_unsynced();

  FileSystem& files_;
  const std::string folder_;
  const std::uint64_t segment_bytes_;
  bool open_ = false;
  std::unique_ptr<SegmentWriter> writer_;  // of the newest segment; null: the next append makes one
  bool folder_changed_ = false;            // and not synced since

  mutable std::mutex mutex_;
  std::deque<Segment> segments_;
  std::uint64_t last_sequence_ = 0;
  std::optional<Segment> synced_;  // the newest segment as it was when it was synced
  std::uint64_t synced_sequence_ = 0;
  std::uint64_t damaged_ = 0;
};

}  // namespace msp
