// The last catch: whatever a library threw past its owner's file ends in one line and exit code 1.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "agent/base/exception_text.h"
#include "agent/cli/command_line.h"

namespace {

void tell(const std::exception& error) {
  std::fprintf(stderr, "msp-agent: %s\n", msp::exception_text(error).c_str());
}

/// std::terminate() calls it: an exception left a thread, or a destructor.
[[noreturn]] void end_of_process() {
  try {
    if (const auto error = std::current_exception()) std::rethrow_exception(error);
    std::fputs("msp-agent: internal error: std::terminate() was called\n", stderr);
  } catch (const std::exception& error) {
    tell(error);
  } catch (...) {
    std::fputs("msp-agent: internal error: an exception of an unknown type\n", stderr);
  }
  std::abort();
}

}  // namespace

/// In the static binary this stands in for the C++ library's default, which brings a demangler of
/// 48 kB.
namespace __cxxabiv1 {
extern std::terminate_handler __terminate_handler;
std::terminate_handler __terminate_handler = end_of_process;
}  // namespace __cxxabiv1

int main(int argc, char** argv) {
  try {
    return msp::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    tell(error);
    return 1;
  }
}
