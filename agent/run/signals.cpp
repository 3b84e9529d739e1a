#include "agent/run/signals.h"

#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp {

Result<Signals> Signals::open() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return failed(cat("cannot wait for signals: signalfd: ", errno_text(errno)));
  return Signals(std::move(fd));
}

int Signals::wait(const Wakeup& wakeup, std::int64_t due_ns) const {
  const auto left_ns =
      std::clamp<std::int64_t>(due_ns - clock_ns(CLOCK_BOOTTIME), 0, 24 * 3600 * kNsPerSecond);
  const timespec left{left_ns / kNsPerSecond, left_ns % kNsPerSecond};
  pollfd polled[] = {{fd_.get(), POLLIN, 0}, {wakeup.fd(), POLLIN, 0}};
  if (::ppoll(polled, std::size(polled), &left, nullptr) <= 0) return 0;
  if (polled[1].revents != 0) wakeup.clear();
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return 0;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace msp
