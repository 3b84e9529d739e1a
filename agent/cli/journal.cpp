#include "agent/cli/journal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

namespace msp::cli {
namespace {

constexpr std::int64_t kWaitMaxNs = 3 * kNsPerSecond;
constexpr std::size_t kBytesMax = 16 << 10;

/// What comes out of `fd` until its end or the time is over.
std::string read_for_a_while(int fd) {
  std::string text;
  const auto until_ns = monotonic_ns() + kWaitMaxNs;
  while (text.size() < kBytesMax) {
    const auto left_ms = (until_ns - monotonic_ns()) / kNsPerMs;
    pollfd readable{fd, POLLIN, 0};
    if (left_ms <= 0 || ::poll(&readable, 1, static_cast<int>(left_ms)) <= 0) break;
    char bytes[4096];
    const auto count = ::read(fd, bytes, sizeof bytes);
    if (count <= 0) break;
    text.append(bytes, static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace

std::string last_journal_error() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, writing.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // Not -u: that has systemd's own words, too, which say no more than that it failed.
  std::string words[] = {
      "journalctl", "_SYSTEMD_UNIT=msp-agent.service", "-p", "err", "-n", "1", "-o", "cat", "-q",
      "--no-pager"};
  char* arguments[std::size(words) + 1] = {};
  for (std::size_t i = 0; i < std::size(words); ++i) arguments[i] = words[i].data();
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, words[0].c_str(), &files, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&files);
  writing.reset();
  if (error != 0) return {};
  const auto text = read_for_a_while(reading.get());
  ::kill(pid, SIGKILL);  // it has ended, or is to
  ::waitpid(pid, nullptr, 0);
  auto rest = std::string_view(text);
  return log_text(trim(next_line(rest).value_or("")));
}

}  // namespace msp::cli
