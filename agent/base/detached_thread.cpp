#include "agent/base/detached_thread.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/base/thread.h"

namespace msp {
namespace {

using Run = std::function<void()>;

void* thread_main(void* argument) {
  const std::unique_ptr<Run> run(static_cast<Run*>(argument));
  try {
    (*run)();
  } catch (...) {
    log_error(cat("internal error: a background call failed: ", exception_text()));
  }
  return nullptr;
}

/// 128 threads of the default 8 MiB would be 1 GiB of address space.
std::size_t at_least_possible(std::size_t stack_bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto least = static_cast<std::size_t>(::sysconf(_SC_THREAD_STACK_MIN));
  return std::max(least, stack_bytes) + page;  // glibc takes the guard page out of the stack
}

}  // namespace

Result<void> start_detached(std::function<void()> run, std::size_t stack_bytes) {
  auto argument = std::make_unique<Run>(std::move(run));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, at_least_possible(stack_bytes));
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, thread_main, argument.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    return failed(cat("cannot start a thread: ", errno_text(error),
                      "; raise the limit on tasks (TasksMax= of the unit, ulimit -u) or on memory "
                      "(ulimit -v)"));
  }
  static_cast<void>(argument.release());  // the thread's now
  return {};
}

}  // namespace msp
