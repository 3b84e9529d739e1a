// A host made of files, and what a collector reports of it.
//
// Every folder tests/fixtures/<collector>/<case> is one:
//
//   proc/ sys/ root/    the host; a missing one is an empty folder
//   1/ 2/ ...           instead of these: one such host per tick
//   statvfs.txt         "path blocks block_size free available files files_free", or
//                       "path ERRNO-NAME", a line each
//   adjtimex.txt        "field number" of struct timex, a line each, "state" what the call returns, or
//                       "errno ERRNO-NAME"
//   bus.txt             what systemd answers on the host's system bus (tests/support/scripted_bus.h);
//                       in the folder of a tick, where there are some
//   uname.txt           sysname, nodename, release, version, machine, domainname, a line each
//   options.yaml        what stands under "collectors:" in msp-agent.yaml
//   expected.prom       what must come of it: golden_test.cpp
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "collectors/registry.h"

namespace msp::test {

/// What is otherwise than in the folder: a file ("/sys/class/net/DEVICE/mtu", in which capital
/// letters stand for any) or a system call ("statvfs(2)") is not there, or has other digits.
struct FixtureChange {
  enum class Kind { none, taken_away, other_digits };
  Kind kind = Kind::none;
  std::string source = {};
};

struct FixtureReport {
  /// All ticks, as --dry-run would print them without the target's labels. What is left out is
  /// "# garbled: ...", a collector that fails "# error: ...", with the temporary paths cut off.
  std::string text;
  /// The samples of each family.
  std::map<const metrics::MetricDesc*, std::string> samples;
  bool succeeded = true;  // at every tick
};

/// Runs the collector on a copy of the fixture's host. One call at a time: what the system calls
/// answer is global.
FixtureReport run_fixture(const collectors::CollectorEntry& entry,
                          const std::filesystem::path& folder, const FixtureChange& change = {});

/// What a file holds; nothing where there is none.
std::string slurp(const std::filesystem::path& path);

}  // namespace msp::test
