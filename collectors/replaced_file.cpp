#include "collectors/replaced_file.h"

#include <cerrno>

#include "agent/base/file.h"
#include "agent/base/text.h"

namespace msp::collectors {
namespace {

constexpr std::size_t kBytesMax = 64 << 10;

}  // namespace

bool is_unchanged(const struct stat& a, const struct stat& b) {
  const auto is_same_time = [](const struct timespec& x, const struct timespec& y) {
    return x.tv_sec == y.tv_sec && x.tv_nsec == y.tv_nsec;
  };
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         is_same_time(a.st_mtim, b.st_mtim) && is_same_time(a.st_ctim, b.st_ctim);
}

Result<bool> ReplacedFile::look() {
  struct stat now {};
  if (::stat(path_.c_str(), &now) == 0 && is_known_ && is_unchanged(now, seen_)) return false;
  is_known_ = false;
  auto content = read_file(path_, kBytesMax);
  if (!content) return content.error();
  content_ = std::move(*content);
  seen_ = now;  // from before the read: what changes meanwhile is read again
  is_known_ = true;
  return true;
}

}  // namespace msp::collectors
