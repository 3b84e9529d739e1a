// The write-ahead log as the queue writes it: opened again after a failure, written anew where most
// of it no longer counts, and read before anything is written over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/queue/entry.h"
#include "agent/queue/file_system.h"
#include "agent/queue/notice.h"
#include "agent/queue/offsets_file.h"
#include "agent/queue/wal.h"

namespace msp::queue {

/// One thread at a time. After a failure nothing is written until QueueTiming::retry_ns later.
class WalWriter {
 public:
  WalWriter(FileSystem& files, std::string folder, Clock& clock, std::int64_t retry_ns)
      : files_(files), folder_(std::move(folder)), clock_(clock), retry_wait_ns_(retry_ns) {}

  /// Opens the log and reads what an earlier process left there. Nothing: that cannot be done now;
  /// until it is done, nothing is written.
  std::optional<Wal::Content> recover();
  bool is_recovered() const { return is_recovered_; }
  bool has_failed() const { return !is_recovered_ || has_failed_; }
  /// The log has all that was appended, as far as the format takes it.
  bool is_complete() const { return is_recovered_ && wal_.is_open() && !is_behind_; }

  /// False: the log does not have it.
  bool append(const Entry& entry);
  /// `consumer` is done with the entries.
  void append_done(const std::string& consumer, std::span<const Entry> entries);
  void append_done(const std::string& consumer, std::uint64_t first, std::uint64_t last);

  /// Whether rewrite() is due, where entries of `bytes_in_use` in memory still count.
  bool wants_rewrite(std::size_t bytes_in_use) const;
  void rewrite(const std::vector<Entry>& entries, const Offsets& done);

  std::vector<Notice> take_notices() { return std::exchange(notices_, {}); }

 private:
  bool is_due() const { return clock_.monotonic_ns() >= retry_ns_; }
  Result<void> open();
  void on_failure(const Error& error);
  void tell_refused(const Error& error);

  FileSystem& files_;
  const std::string folder_;
  Clock& clock_;
  const std::int64_t retry_wait_ns_;
  Wal wal_;
  bool is_recovered_ = false;
  bool is_behind_ = false;  // entries are missing in it: rewrite() is due
  bool has_failed_ = false;
  std::uint64_t per_byte_in_use_ = 1;  // bytes of the log, which has labels with each entry
  std::int64_t retry_ns_ = 0;
  std::int64_t refused_told_ns_ = 0;
  std::vector<Notice> notices_;
};

}  // namespace msp::queue
