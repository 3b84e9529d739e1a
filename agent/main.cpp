// The last catch: whatever a library threw past its owner's file ends in one line and exit code 1.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "agent/cli/command_line.h"

namespace {

[[noreturn]] void end_of_another_thread() {
  std::fputs("msp-agent: internal error: an exception that nobody caught\n", stderr);
  std::abort();
}

}  // namespace

/// In the static binary this stands in for the C++ library's default, which brings a demangler of
/// 48 kB.
namespace __cxxabiv1 {
extern std::terminate_handler __terminate_handler;
std::terminate_handler __terminate_handler = end_of_another_thread;
}  // namespace __cxxabiv1

int main(int argc, char** argv) {
  try {
    return msp::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "msp-agent: internal error: %s\n", error.what());
    return 1;
  }
}
