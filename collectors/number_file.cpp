#include "collectors/number_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/base/text.h"

namespace msp::collectors {
namespace {

constexpr int kNotRegular = -1;  // no errno

bool is_gone(int error) {
  return error == ENOENT || error == ENODEV;
}

}  // namespace

int NumberFile::open(bool keep_open) {
  if (!is_checked_) {
    struct stat file {};
    if (::stat(path_.c_str(), &file) != 0) return errno;
    if (!S_ISREG(file.st_mode)) return kNotRegular;
    is_checked_ = true;
  }
  fd_ = Fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd_) return errno;
  is_watched_ = keep_open && can_be_replaced(fd_);
  return 0;
}

NumberFile::Reading NumberFile::read(bool keep_open) {
  if (fd_ && is_watched_ && is_replaced(fd_, path_)) fd_.reset();
  while (!is_missing_) {
    const bool was_open = static_cast<bool>(fd_);
    if (const int error = was_open ? 0 : open(keep_open); error != 0) {
      is_missing_ = error == ENOENT;
      if (is_gone(error)) break;
      return {.state = State::unreadable, .error = error};
    }
    const auto got = ::pread(fd_.get(), text_.data(), text_.size(), 0);
    const int error = got < 0 ? errno : 0;
    if (!keep_open || got <= 0) fd_.reset();
    if (error == EINTR) continue;
    if (got <= 0 && was_open) continue;  // another device of its name may have come
    if (is_gone(error)) break;
    if (error != 0) return {.state = State::unreadable, .error = error};
    size_ = static_cast<std::size_t>(got);
    if (const auto number = parse_number<std::uint64_t>(text())) {
      return {.state = State::number, .number = *number};
    }
    return {.state = State::garbled};
  }
  return {};
}

std::string_view NumberFile::text() const {
  return trim({text_.data(), size_});
}

void NumberFile::forget() {
  fd_.reset();
  is_checked_ = false;
  is_missing_ = false;
}

bool add_number(NumberFile& file, const MetricDesc& metric, SeriesWriter& out, double per_unit) {
  const auto reading = file.read(true);
  if (reading.state == NumberFile::State::missing) {
    file.forget();
    return false;
  }
  if (reading.state == NumberFile::State::number) {
    out.add(metric, static_cast<double>(reading.number) / per_unit);
  } else {
    complain(out.complaints(), file, reading, {metric.name});
  }
  return true;
}

void complain(metrics::Complaints& complaints, const NumberFile& file,
              const NumberFile::Reading& reading, const metrics::Complaints::LeftOut& left_out) {
  switch (reading.state) {
    case NumberFile::State::number:
    case NumberFile::State::missing:
      return;
    case NumberFile::State::garbled:
      complaints.garbled(file.path(), file.text(), "a count", left_out);
      return;
    case NumberFile::State::unreadable:
      const auto why =
          reading.error == kNotRegular ? "not a regular file" : errno_text(reading.error);
      complaints.unreadable(file.path(), failed(cat("cannot read ", file.path(), ": ", why)),
                            left_out);
      return;
  }
}

}  // namespace msp::collectors
