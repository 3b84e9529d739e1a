// A file of /sys that holds one number. Unlike a KeptFile it costs one read and no buffer, and
// keeping it open is the caller's choice: there may be one per device, and descriptors are limited.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "agent/base/file.h"

namespace msp {

class NumberFile {
 public:
  explicit NumberFile(std::string path) : path_(std::move(path)) {}

  /// The number, or nothing where there is none. A file that does not exist is not looked for again
  /// before forget().
  std::optional<std::uint64_t> read(bool keep_open);

  /// Looks anew at what the path stands for: an open file follows its device when that is renamed.
  void forget();

 private:
  std::string path_;
  Fd fd_;
  bool is_missing_ = false;
};

}  // namespace msp
