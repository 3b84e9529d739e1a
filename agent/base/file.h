// Files of /proc and /sys, kept open from tick to tick and read whole with pread(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/result.h"

namespace msp {

/// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();
  /// Gives it up: the caller closes it.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// Opens a file to read it, never waiting: what is a FIFO, a device or a socket is not opened at
/// all, for that alone can wait for somebody or set something off. A folder opens, and cannot be
/// read.
Result<Fd> open_to_read(const std::string& path);

/// Whether an open file may lose its name to another one unnoticed. Not on the kernel's own file
/// systems, where a read fails once what it shows is gone; everywhere else, as in the tree of a
/// simulator, a descriptor that is kept shows the old content for ever.
bool can_be_replaced(const Fd& fd);

/// Whether `path` names another file than the open one, or none.
bool is_replaced(const Fd& fd, const std::string& path);

/// A small file that is read whole again and again. Opens on the first read and keeps the
/// descriptor; when what it was opened on is gone (a device that was unplugged), or its name stands
/// for another file, opens the path once more. One thread at a time.
class KeptFile {
 public:
  /// How to know that all was read.
  enum class End {
    empty_read,  // always right: one more read, which gets nothing
    short_read,  // the kernel makes the content whole in one go (single_open() of fs/seq_file.c,
                 // sysfs attributes), so a read that gets less than it could is the last
  };

  explicit KeptFile(std::string path, End end = End::empty_read)
      : path_(std::move(path)), end_(end) {}

  /// The content, valid until the next read. A file that does not exist, or that the kernel says it
  /// does not support (EOPNOTSUPP), is Error::Kind::no_data; no error text repeats what the caller
  /// knows, all name the path.
  Result<std::string_view> read();

  /// The same, but a second call with the same `tick` returns what the first one read: two
  /// collectors that need one file cost one read and see one state.
  Result<std::string_view> read(std::uint64_t tick);

  /// Gives the descriptor back until the next read.
  void close() { fd_.reset(); }

  /// From now on knows the end in this way, too: the surer of two that were asked for stays.
  void require(End end) {
    if (end == End::empty_read) end_ = end;
  }

  const std::string& path() const { return path_; }

  /// A file that is longer is an error: none of the kernel's is, and memory has an end.
  static constexpr std::size_t kBytesMax = std::size_t{64} << 20;

 private:
  Result<std::string_view> read_open();

  std::string path_;
  End end_;
  Fd fd_;
  bool is_watched_ = false;  // can_be_replaced()
  std::string content_;      // capacity is kept; only the first size_ bytes are content
  std::size_t size_ = 0;
  std::uint64_t tick_ = 0;  // of the last read(tick), 0: none
  Error tick_error_;        // its outcome, where it failed
  bool tick_failed_ = false;
};

/// Hands out one KeptFile per path to all who ask, for as long as one of them holds it. Its end is
/// known in a way that is right for all of them.
class FileTable {
 public:
  std::shared_ptr<KeptFile> open(const std::string& path,
                                 KeptFile::End end = KeptFile::End::empty_read);

 private:
  std::map<std::string, std::weak_ptr<KeptFile>> files_;
};

/// Opens a file for reading that has an end and keeps no reader waiting. Whatever else has the name,
/// such as a FIFO or a device, is an error and is not opened, for opening some devices does
/// something. The error is the reason alone, without the path.
Result<Fd> open_regular_file(const std::string& path);

/// Reads a file once, never waiting (open_to_read). At most `bytes_max`; a longer one is an error.
/// A missing file is Error::Kind::no_data.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

/// What is in a folder, without "." and "..", in no order.
Result<std::vector<std::string>> names_in(const std::string& folder);

}  // namespace msp
