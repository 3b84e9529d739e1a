#include "agent/base/wakeup.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/base/clock.h"

namespace msp {

Wakeup::Wakeup() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Wakeup::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

void Wakeup::clear() const {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(fd_.get(), &count, sizeof count);
}

void Wakeup::wait(std::int64_t wait_ns) const {
  pollfd polled{fd_.get(), POLLIN, 0};  // a negative descriptor is left out
  const timespec left{wait_ns / kNsPerSecond, wait_ns % kNsPerSecond};
  if (::ppoll(&polled, 1, &left, nullptr) > 0) clear();
}

}  // namespace msp
