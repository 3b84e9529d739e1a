// A small file that people edit and packages replace by another one of its name. It is looked at at
// every tick, and read only when it is not the one that was read, or has changed since.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <utility>

#include "agent/base/result.h"

namespace msp::collectors {

/// Whether two looks at a path have seen the same file with the same content: inode, size, times.
bool is_unchanged(const struct stat& before, const struct stat& now);

class ReplacedFile {
 public:
  explicit ReplacedFile(std::string path) : path_(std::move(path)) {}

  /// True: it has changed, content() is new. A missing one is Error::Kind::no_data; after an error
  /// the next good one counts as changed.
  Result<bool> look();

  /// Of the last look that was no error.
  const std::string& content() const { return content_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::string content_;
  struct stat seen_ {};
  bool is_known_ = false;
};

}  // namespace msp::collectors
