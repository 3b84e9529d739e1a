// The calls that the queue makes on files, as an interface, so that a test can make any of them
// fail, be the last one before a crash, or lose what was not synced. Every error text names the
// path.
//
// A folder is opened once and used by its descriptor: what is read, written, renamed or removed
// through it stays in that folder, whatever is mounted over its path meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"

namespace msp::queue {

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
};

/// An open folder. Any thread, each call by itself. Names are of regular files in the folder itself.
class Folder {
 public:
  struct Entry {
    std::string name;
    std::uint64_t size = 0;
  };
  struct Space {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;  // for an unprivileged process
  };
  enum class Mode {
    read,
    write,   // also reads; makes the file (0640) where there is none
    create,  // the same; an error where there is one
  };

  virtual ~Folder() = default;

  /// Where it was opened.
  virtual const std::string& path() const = 0;

  /// A file that does not exist is Error::Kind::no_data. Never waits for a FIFO or a device.
  virtual Result<std::unique_ptr<File>> open(const std::string& name, Mode mode) = 0;

  /// Replaces `to`, atomically.
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;

  /// Removing what is not there is no error.
  virtual Result<void> remove(const std::string& name) = 0;

  /// The regular files, in no order.
  virtual Result<std::vector<Entry>> list() = 0;

  /// Makes creations, renames and removals durable.
  virtual Result<void> sync() = 0;

  virtual Result<Space> space() = 0;

  /// Takes the folder for this process until it is destroyed; false where another process has it
  /// (flock(2)). Works on a read-only file system too.
  virtual Result<bool> lock() = 0;

  /// Whether path() leads to this folder: false where another one was mounted over it, or it was
  /// moved or removed (st_dev and st_ino). Needs no descriptor.
  virtual Result<bool> is_at_path() const = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Makes it (0750) and its parents where they do not exist.
  virtual Result<std::shared_ptr<Folder>> open_folder(const std::string& path) = 0;
};

/// The real one. Static storage, any thread.
FileSystem& real_file_system();

}  // namespace msp::queue
