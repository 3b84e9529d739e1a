// A process that may start no more threads, as a test needs it: a child of the test's own, for the
// limit cannot be taken back. It counts for no user that may change it, so the child is nobody.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace msp::test {

/// From now on this process starts no thread. False: it cannot be arranged.
inline bool forbid_threads() {
  if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return false;
  const rlimit none{0, 0};
  return ::setrlimit(RLIMIT_NPROC, &none) == 0;
}

/// What `work` returns, which runs in a child process, of 0 to 255. -1: it ended in another way.
inline int in_child(const std::function<int()>& work) {
  const auto child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

}  // namespace msp::test
