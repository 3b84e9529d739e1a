// The scrapes that somebody still waits for and that have not gone to disk, in memory, with a
// crash-safe copy in a file (head_file.h) where that works. The newest scrape of all stays at hand
// after it has gone to disk, for who wants that one first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "agent/metrics/sample.h"
#include "agent/queue/file_system.h"
#include "agent/queue/wal.h"

namespace msp {

/// One thread at a time. Files that fail are logged and tried again; nothing here is an error.
class Head {
 public:
  struct Waiting {
    std::uint64_t sequence = 0;
    std::shared_ptr<const Scrape> scrape;
    std::int64_t appended_ns = 0;  // monotonic
    std::size_t bytes = 0;
  };

  /// The copy is `folder`/head. `files` outlives the head.
  Head(FileSystem& files, std::string folder, std::int64_t retry_ns)
      : files_(files), folder_(std::move(folder)), retry_ns_(retry_ns) {}

  /// Takes over what an earlier process left from sequence `from` on.
  void recover(std::uint64_t from);

  /// `sequence` is higher than all before.
  void append(std::uint64_t sequence, std::shared_ptr<const Scrape> scrape);

  void drop_front();

  /// Lets go of scrapes that are safe or that nobody needs. `is_done` is asked for a sequence.
  template <typename IsDone>
  void trim(IsDone is_done) {
    const auto gone = std::erase_if(scrapes_, [&](const Waiting& waiting) {
      if (!is_done(waiting.sequence)) return false;
      bytes_ -= waiting.bytes;
      return true;
    });
    if (gone > 0 && scrapes_.empty()) clear_file();
  }

  /// In order of their sequences, which may have gaps.
  const std::deque<Waiting>& scrapes() const { return scrapes_; }
  bool empty() const { return scrapes_.empty(); }
  std::size_t bytes() const { return bytes_; }
  /// The first from `sequence` on; null where there is none.
  const Waiting* find(std::uint64_t sequence) const;

  /// The last that was appended, until forget_newest(); its scrape is null then, and at the start.
  const Waiting& newest() const { return newest_; }
  void forget_newest() { newest_.scrape.reset(); }

 private:
  void push(std::uint64_t sequence, std::shared_ptr<const Scrape> scrape);
  Result<void> open_file();
  void copy_newest();
  Result<void> rewrite_file();
  void clear_file();

  FileSystem& files_;
  const std::string folder_;
  const std::int64_t retry_ns_;
  std::deque<Waiting> scrapes_;
  std::size_t bytes_ = 0;
  Waiting newest_;
  Wal file_;
  std::int64_t retry_at_ns_ = 0;
};

}  // namespace msp
