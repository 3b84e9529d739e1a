// What the user asked for on the command line.
#pragma once

namespace msp::cli {

/// Parses, runs the command and returns the exit code: 0 done, 1 failed, 2 bad usage, 78 bad
/// configuration. The result goes to stdout, everything else to stderr.
int run_command_line(int argc, char** argv);

}  // namespace msp::cli
