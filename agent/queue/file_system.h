// The calls that the buffer makes on files, as an interface, so that a test can make any of them
// fail, be the last one before a crash, or lose what was not synced. Every error text names the
// path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"

namespace msp {

/// An open file. One thread at a time, unless said otherwise; closed when destroyed.
class File {
 public:
  virtual ~File() = default;

  /// Reads up to `length` bytes from `offset`; fewer only at the end of the file. Any thread.
  virtual Result<std::string> read(std::uint64_t offset, std::size_t length) const = 0;

  /// Writes all of `bytes` at `offset`. After an error any part of it may be in the file.
  virtual Result<void> write(std::uint64_t offset, std::string_view bytes) = 0;

  virtual Result<void> truncate(std::uint64_t size) = 0;

  /// Returns when content and size are on the device (fdatasync(2)).
  virtual Result<void> sync() = 0;

  virtual Result<std::uint64_t> size() const = 0;

  /// Takes the file for this process until it is closed; false where another process has it
  /// (flock(2)).
  virtual Result<bool> lock() = 0;
};

class FileSystem {
 public:
  struct Entry {
    std::string name;
    std::uint64_t size = 0;
  };
  struct Space {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;  // for an unprivileged process
  };
  enum class Mode { read, write };  // write also reads, and creates the file (0640)

  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, Mode mode) = 0;

  /// Replaces `to`, atomically.
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;

  /// Removing what is not there is no error.
  virtual Result<void> remove(const std::string& path) = 0;

  /// Makes the folder and its parents (0750); an existing one is no error.
  virtual Result<void> make_folder(const std::string& path) = 0;

  /// The regular files of a folder, in no order.
  virtual Result<std::vector<Entry>> list(const std::string& folder) = 0;

  /// Makes creations, renames and removals in `folder` durable.
  virtual Result<void> sync_folder(const std::string& folder) = 0;

  virtual Result<Space> space(const std::string& folder) = 0;
};

/// The real one. Static storage, any thread.
FileSystem& real_file_system();

}  // namespace msp
