#include "agent/cli/watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/text.h"

namespace msp::cli {
namespace {

constexpr std::int64_t kEveryMs = 2000;
// xterm's control sequences: a screen of its own, no cursor, lines are cut at the right edge.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view kLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr std::string_view kClear = "\x1b[H\x1b[2J";

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// Keys without Enter and without echo, signals as something to read; undone at the end.
class Screen {
 public:
  Screen() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH}) {
      sigaddset(&signals, signal);
    }
    ::sigprocmask(SIG_BLOCK, &signals, &signals_before_);
    signals_ = Fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    ::tcgetattr(STDIN_FILENO, &before_);
    auto keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    put(kEnter);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() {
    put(kLeave);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    ::sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
  }

  /// Cut at the lower edge, for more than that would scroll.
  void show(const std::string& text) const {
    winsize size{};
    const bool is_known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1;
    std::string shown(kClear);
    auto rest = std::string_view(text);
    for (int row = is_known ? size.ws_row - 1 : 23; row > 0; --row) {
      const auto line = next_line(rest);
      if (!line) break;
      shown += cat(*line, "\r\n");
    }
    put(cat(shown, "q ends"));
  }

  /// False when it is to end; true after kEveryMs, or when the window has another size.
  bool wait() const {
    const auto until_ns = monotonic_ns() + kEveryMs * kNsPerMs;
    for (;;) {
      const auto left_ms = (until_ns - monotonic_ns()) / kNsPerMs;
      if (left_ms <= 0) return true;
      pollfd sources[] = {{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}};
      if (::poll(sources, 2, static_cast<int>(left_ms)) <= 0) continue;
      signalfd_siginfo signal{};
      if (sources[1].revents != 0 && ::read(signals_.get(), &signal, sizeof signal) > 0) {
        if (signal.ssi_signo == SIGWINCH) return true;
        if (signal.ssi_signo != SIGTSTP) return false;
      }
      if (sources[0].revents == 0) continue;
      char key = 'q';
      if (::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q') return false;
    }
  }

 private:
  Fd signals_;
  sigset_t signals_before_{};
  termios before_{};
};

}  // namespace

void watch(const std::function<std::string()>& draw) {
  const Screen screen;
  do {
    screen.show(draw());
  } while (screen.wait());
}

}  // namespace msp::cli
