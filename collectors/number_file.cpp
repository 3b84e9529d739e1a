#include "collectors/number_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "agent/base/text.h"

namespace msp {

std::optional<std::uint64_t> NumberFile::read(bool keep_open) {
  while (!is_missing_) {
    const bool was_open = static_cast<bool>(fd_);
    if (!was_open) fd_ = Fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd_) {
      is_missing_ = errno == ENOENT;
      break;
    }
    char digits[32];
    const auto got = ::pread(fd_.get(), digits, sizeof digits, 0);
    if (!keep_open || got <= 0) fd_.reset();
    if (got > 0) {
      return parse_number<std::uint64_t>(trim({digits, static_cast<std::size_t>(got)}));
    }
    if (!was_open) break;  // else the device went away, and another one of its name may have come
  }
  return std::nullopt;
}

void NumberFile::forget() {
  fd_.reset();
  is_missing_ = false;
}

}  // namespace msp
