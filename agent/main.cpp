// What holds for the whole process: signals, and the last catch. Whatever is thrown past its
// owner's file, in any thread, ends the process with one line and exit code 1.
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <system_error>

#include "agent/cli/command_line.h"

namespace {

std::atomic<bool> has_lacked_memory = false;

/// Called by operator new.
void on_no_memory() {
  has_lacked_memory = true;
  throw std::bad_alloc();
}

/// Before the constructors of everything else that is linked in, which may lack memory as well. Until
/// the agent waits for SIGHUP, which is after it has read its configuration, that signal would end
/// the process.
[[gnu::constructor(101)]] void begin() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  std::set_new_handler(on_no_memory);
}

constexpr const char* kNoMemory = "out of memory";
constexpr const char* kNoMemoryAdvice =
    ": raise the limit on it (MemoryMax= of the unit, ulimit -v)";

/// Allocates nothing.
void tell(const char* what, const char* advice) {
  // The journal's mark of an error, as agent/base/log.cpp has it.
  const char* mark = std::getenv("JOURNAL_STREAM") != nullptr ? "<3>" : "";
  std::fprintf(stderr, "%smsp-agent: %s%s\n", mark, what, advice);
}

/// Only while an exception is handled.
void tell_exception() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    tell(kNoMemory, kNoMemoryAdvice);
  } catch (const std::system_error& error) {
    // Of std::thread. With too little memory for its stack it is the same error.
    const bool is_limit = error.code() == std::errc::resource_unavailable_try_again;
    tell(is_limit ? "cannot start a thread" : "internal error: ",
         is_limit ? ": raise the limit on tasks (TasksMax= of the unit, ulimit -u) or on memory "
                    "(ulimit -v)"
                  : error.what());
  } catch (const std::exception& error) {
    tell("internal error: ", error.what());
  } catch (...) {
    tell("internal error: an exception of an unknown kind", "");
  }
}

/// Where no catch is left, such as in another thread. Nothing is written to the disk here: the
/// buffer survives this as it survives a SIGKILL.
[[noreturn]] void end_without_catch() {
  // Of two threads the first one tells; so it does where telling fails.
  static std::atomic_flag is_ending;
  if (is_ending.test_and_set()) {
    ::sleep(1);
    std::_Exit(1);
  }
  if (std::current_exception() != nullptr) {
    tell_exception();
  } else if (has_lacked_memory) {
    // There is no memory for an exception; or one left a function that is noexcept and was inlined,
    // and then g++ 12 keeps nothing of it.
    tell(kNoMemory, kNoMemoryAdvice);
  } else {
    tell("internal error: it ended itself without an exception", "");
  }
  std::_Exit(1);
}

}  // namespace

/// In the static binary this stands in for the C++ library's default, which brings a demangler of
/// 48 kB. It is the one name that the library refers to from everywhere: in __terminate_handler,
/// which is the handler until main begins, and in set_terminate.
namespace __gnu_cxx {
void __verbose_terminate_handler() {
  end_without_catch();
}
}  // namespace __gnu_cxx

int main(int argc, char** argv) {
  std::set_terminate(end_without_catch);
  // A file that may grow no more (RLIMIT_FSIZE) is an error of write(2).
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return msp::cli::run_command_line(argc, argv);
  } catch (...) {
    tell_exception();
    std::fflush(stdout);
    std::_Exit(1);  // threads may be left, which use what exit() destroys
  }
}
