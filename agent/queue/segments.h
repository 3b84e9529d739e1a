// The segments on disk, oldest first, each named by the sequence of its first entry
// (0000000000000001.seg). One thread writes (the spiller's); readers of other threads see whole
// records only.
//
// A segment ends at about kSegmentBytes (or an eighth of the queue's limit). It is removed when all
// consumers are done with it, or when a limit takes it. An error that is not the file's content (no
// descriptor, no memory, no permission, a failing disk) never removes, renames or truncates a
// segment and never has its numbers given out again: it is tried again later. What has content that
// cannot be read is set aside as *.bad, at most kBadFilesMax of them; a segment of another format
// version is set aside as *.v1 or *.newer.
//
// Segments may lie in an earlier folder than the current one: where a file system was mounted over
// it, its segments are read through its descriptor, and moved by and by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/queue/entry.h"
#include "agent/queue/file_system.h"
#include "agent/queue/offset.h"
#include "agent/queue/segment.h"

namespace msp::queue {

class Segments {
 public:
  static constexpr std::uint64_t kSegmentBytes = 1 << 20;
  static constexpr std::size_t kBadFilesMax = 4;
  /// An unread segment may hold as many sequences beyond its name.
  static constexpr std::uint64_t kSequencesMax = 1 << 24;

  struct Segment {
    std::shared_ptr<Folder> folder;
    std::string name;
    Summary summary;            // where it was never read: only its sequences, and these a guess
    std::uint64_t bytes = 0;    // whole records
    bool is_read = true;        // the summary is the segment's own
    std::int64_t retry_ns = 0;  // not to be read before (monotonic clock); 0: no error
    std::int64_t begun_boot_ns = 0;  // boot time of the first append; 0: an earlier process

    bool contains(std::uint64_t sequence) const {
      return summary.first_sequence <= sequence && sequence <= summary.last_sequence;
    }
  };
  struct Totals {
    std::size_t segments = 0;
    std::uint64_t bytes = 0;
  };
  /// What was come upon in a folder.
  struct TakenOver {
    std::uint64_t end = 0;              // one past the highest sequence that may be in use there
    std::uint64_t samples = 0;          // in the segments that were taken over
    std::uint64_t damaged_regions = 0;  // and segments set aside
    std::vector<std::string> told;      // what people are to know, a line each
  };

  explicit Segments(std::uint64_t segment_bytes) : segment_bytes_(segment_bytes) {}

  // The spiller's thread.

  /// Whether this process has given out none of these sequences, and gives out none from now on.
  using Claim = std::function<bool(std::uint64_t first, std::uint64_t last)>;

  /// Adds the segments that an earlier process left in `folder`, which becomes the one that is
  /// written to. One whose sequences cannot be claimed is left alone until the next start. After an
  /// error nothing has changed.
  Result<TakenOver> take_over(std::shared_ptr<Folder> folder, const Claim& claim,
                              std::int64_t retry_ns);

  /// Looks again at segments that could not be read, and whose time has come. Whether one can be
  /// read now; what is to be told of it is added to `taken`.
  bool try_unread(std::int64_t now_ns, std::int64_t retry_ns, TakenOver& taken);

  /// Moves the segments of an earlier folder to the current one, as far as that works. Returns those
  /// that are not there any more: their samples are lost.
  std::vector<Segment> move_to_current();

  /// Appends; in memory of the kernel until sync(). After an error the entry is not in a segment,
  /// and what is in it is synced. `boot_ns` is the boot time clock.
  Result<void> append(const Entry& entry, std::int64_t boot_ns);

  /// After an error nothing that was appended since the last sync is in a segment: the kernel may
  /// have let go of it, and a second sync would not tell.
  Result<void> sync();

  /// Whatever is in it.
  void remove(const Segment& segment);

  /// Removes the segments for which `is_done` is true of their range of sequences.
  template <typename IsDone>
  void remove_done(IsDone is_done) {
    for (const auto& segment : all()) {
      if (is_done(segment.summary.first_sequence, segment.summary.last_sequence)) remove(segment);
    }
  }

  // Any thread.

  bool is_open() const;
  std::shared_ptr<Folder> folder() const;
  std::vector<Segment> all() const;
  bool empty() const { return totals().segments == 0; }
  /// The oldest that can be read: what a limit takes first.
  std::optional<Segment> oldest_read() const;
  /// The first segment that has something from `sequence` on.
  std::optional<Segment> find(std::uint64_t sequence) const;
  /// Whether an entry with that sequence was stored, and synced.
  bool is_stored(std::uint64_t sequence) const;
  Totals totals() const;
  /// A segment could not be read, for a reason that is not its content.
  void set_retry(const std::string& name, std::int64_t retry_ns);
  /// Samples of the segment that are not in `offset`; where something of it cannot be read, by the
  /// average. Reads the segment if it is in there in part.
  std::uint64_t count_in_segment(const Segment& segment, const Offset& offset) const;
  /// The same of all segments.
  std::uint64_t count_samples(const Offset& offset) const;

 private:
  Result<void> inspect(const std::shared_ptr<Folder>& folder, const std::string& name,
                       TakenOver& taken, std::vector<Segment>& found, std::int64_t retry_ns);
  Result<void> move(const Segment& segment, Folder& to);
  void set_aside(Folder& folder, const std::string& name, std::string_view suffix,
                 TakenOver& taken);
  bool is_behind_another(const Entry& entry) const;
  Result<void> begin_segment(std::uint64_t first_sequence, std::int64_t boot_ns);
  Result<void> end_segment();
  void mark_synced();
  void forget_unsynced();
  Segment* current();

  const std::uint64_t segment_bytes_;
  std::unique_ptr<SegmentWriter> writer_;  // of current_name_; null: the next append begins one
  std::string leftover_;                   // made by this process, and could not be removed
  bool folder_changed_ = false;            // and not synced since

  mutable std::mutex mutex_;
  std::shared_ptr<Folder> folder_;  // that is written to; null: none could be opened
  std::deque<Segment> segments_;    // by sequence
  std::string current_name_;        // of the segment that is being written
  std::optional<Segment> synced_;   // that segment as it was when it was synced
};

}  // namespace msp::queue
