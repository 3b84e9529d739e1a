#include "agent/run/signals.h"

#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::run {

Result<Signals> Signals::open() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGPWR, SIGHUP, kStatusSignal}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return failed(cat("cannot wait for signals: signalfd: ", errno_text(errno)));
  Fd timer(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  const bool has_boottime = static_cast<bool>(timer);  // not before Linux 3.15
  if (!timer) timer = Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return failed(cat("cannot wait: timerfd: ", errno_text(errno)));
  return Signals(std::move(fd), std::move(timer), has_boottime);
}

int Signals::wait(const Wakeup& wakeup, std::int64_t due_ns) const {
  if (!has_boottime_) due_ns += monotonic_ns() - clock_ns(CLOCK_BOOTTIME);
  due_ns = std::max<std::int64_t>(due_ns, 1);  // 0 would be never
  const itimerspec at{{}, {due_ns / kNsPerSecond, due_ns % kNsPerSecond}};
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &at, nullptr);
  pollfd polled[] = {{fd_.get(), POLLIN, 0}, {wakeup.fd(), POLLIN, 0}, {timer_.get(), POLLIN, 0}};
  if (::poll(polled, std::size(polled), -1) <= 0) return 0;
  if (polled[1].revents != 0) wakeup.clear();
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return 0;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace msp::run
