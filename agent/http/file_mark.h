// Whether a file is still the one that was looked at before.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <string>

namespace msp::http {

/// Another one when the file is written or replaced.
using FileMark = std::array<std::int64_t, 4>;

inline FileMark mark_of(const std::string& path) {
  struct stat at {};
  if (path.empty() || stat(path.c_str(), &at) != 0) return {};
  return {static_cast<std::int64_t>(at.st_ino), at.st_size, at.st_mtim.tv_sec, at.st_mtim.tv_nsec};
}

}  // namespace msp::http
