// A process that may start no more threads, as a test needs it: one of the test's own, for what it
// gives up cannot be had back.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>
#include <vector>

namespace msp::test {

/// Limits on tasks do not hold for root, and count all tasks of a user: it becomes one that has no
/// others.
inline bool limit_tasks(rlim_t count) {
  constexpr uid_t kUserOfNobodyElse = 61'184;
  constexpr rlim_t kMost = 64;
  if (::geteuid() == 0 && (::setgid(kUserOfNobodyElse) != 0 || ::setuid(kUserOfNobodyElse) != 0)) {
    return false;
  }
  const rlimit limit{count, kMost};
  return ::setrlimit(RLIMIT_NPROC, &limit) == 0;
}

/// From now on this process starts no thread. False: it cannot be arranged.
inline bool forbid_threads() {
  return limit_tasks(0);
}

/// The other way round, where the user has no other tasks: for a test that root runs.
inline bool allow_threads() {
  return limit_tasks(64);
}

/// Checks that the test case of this name, one with the tag [.alone], passes in a process of its own.
/// Its name has no comma, which would be the end of it for Catch2.
/// That one starts anew: a fork of a process whose earlier tests have threads still at work may do
/// next to nothing, and a sanitizer ends it.
inline void check_alone(const std::string& test_case) {
  // A process that may start nothing cannot look for leaks either.
  const char* options = std::getenv("ASAN_OPTIONS");
  std::string without_leaks =
      std::string("ASAN_OPTIONS=") + (options == nullptr ? "" : options) + ":detect_leaks=0";
  std::vector<char*> environment{without_leaks.data()};
  for (char** each = environ; *each != nullptr; ++each) {
    if (!std::string_view(*each).starts_with("ASAN_OPTIONS=")) environment.push_back(*each);
  }
  environment.push_back(nullptr);
  std::string name = test_case;
  std::string program = "test";
  char* const arguments[] = {program.data(), name.data(), nullptr};

  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
  pid_t child = -1;
  const auto error =
      ::posix_spawn(&child, "/proc/self/exe", &files, nullptr, arguments, environment.data());
  ::posix_spawn_file_actions_destroy(&files);
  ::close(ends[1]);
  std::string said;
  char part[4096];
  for (ssize_t size; (size = ::read(ends[0], part, sizeof part)) > 0;) {
    said.append(part, static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  REQUIRE(error == 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  INFO(said);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  // Where the name is none's, none has failed.
  CHECK(said.find("All tests passed") != std::string::npos);
}

}  // namespace msp::test
