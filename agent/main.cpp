// The last catch: whatever a library threw past its owner's file ends in one line and exit code 1.
#include <cstdio>
#include <exception>

#include "agent/cli/command_line.h"

int main(int argc, char** argv) {
  try {
    return msp::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "msp-agent: internal error: %s\n", error.what());
    return 1;
  }
}
