// A copy of the head of the queue in a file, so that it survives the process: on a memory-backed
// file system it costs no disk I/O. Each scrape stands alone in it (keyframes only), and once
// nothing waits any more the file is cut back to its dictionary, so that a good tick is one small
// write and one truncate.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/metrics/sample.h"
#include "agent/queue/file_system.h"
#include "agent/queue/scrape_codec.h"

namespace msp {

/// One thread at a time. Every failure leaves it closed: it does nothing until it is opened again.
class Wal {
 public:
  /// Takes over the file at `path`, or makes it.
  Result<void> open(FileSystem& files, const std::string& path);
  bool is_open() const { return file_ != nullptr; }

  /// What an earlier process left, oldest first; damaged parts are skipped.
  Result<std::vector<ScrapeDecoder::Decoded>> read() const;

  Result<void> append(std::uint64_t sequence, const Scrape& scrape);

  /// Replaces all that is in the file by these.
  Result<void> rewrite(const std::vector<ScrapeDecoder::Decoded>& scrapes);

  /// Nothing waits any more.
  Result<void> clear();

  std::uint64_t bytes() const { return bytes_; }

 private:
  Result<void> close_after(Result<void> failure);
  Result<void> start_over();

  FileSystem* files_ = nullptr;
  std::string path_;
  std::unique_ptr<File> file_;
  ScrapeEncoder encoder_;
  std::string records_;  // kept for its capacity
  std::uint64_t bytes_ = 0;
  std::uint64_t dictionary_end_ =
      0;  // where the first scrape begins; 0: the file cannot be cut back to it
};

}  // namespace msp
