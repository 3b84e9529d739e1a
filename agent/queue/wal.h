// The write-ahead log: a copy of what waits in memory, and of what consumers are done with, in one
// file, so that both survive the process. On a memory-backed file system it costs no disk I/O.
//
// The file is a segment (FORMAT.md) in which each scrape stands alone (keyframes only), with records
// of type `done` between: a consumer is done with these sequences. It grows until the owner has it
// written anew with what still counts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/queue/entry.h"
#include "agent/queue/file_system.h"
#include "agent/queue/offset.h"
#include "agent/queue/offsets_file.h"
#include "agent/queue/scrape_codec.h"

namespace msp::queue {

/// One thread at a time. Every failure leaves it closed: it does nothing until it is opened again.
class Wal {
 public:
  struct Content {
    std::vector<Entry> entries;  // oldest first
    Offsets done;                // by consumer: sequences that it was done with
    std::uint64_t damaged_regions = 0;
  };

  /// Takes over the file `wal` of the folder, or makes it.
  Result<void> open(std::shared_ptr<Folder> folder);
  bool is_open() const { return file_ != nullptr; }

  /// What an earlier process left; damaged parts are skipped.
  Result<Content> read() const;

  Result<void> append(const Entry& entry);

  /// `consumer` is done with these sequences.
  Result<void> append_done(std::string_view consumer, std::uint64_t first, std::uint64_t last);

  /// Replaces all that is in the file, by another file and a rename: a crash finds either all of
  /// the old or all of the new.
  Result<void> rewrite(const std::vector<Entry>& entries, const Offsets& done);

  std::uint64_t bytes() const { return bytes_; }
  bool is_empty() const;
  void close() { file_.reset(); }

 private:
  Result<void> close_after(Result<void> failure);
  Result<void> put();

  std::shared_ptr<Folder> folder_;
  std::unique_ptr<File> file_;
  ScrapeEncoder encoder_;
  std::string records_;  // kept for its capacity
  std::uint64_t bytes_ = 0;
};

}  // namespace msp::queue
