// One line of /proc/PID/stat (proc(5)):
//   811 (nginx: worker) S 810 810 810 0 -1 4194624 1203 0 4 0 88 41 0 0 20 0 3 0 7044 ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/base/file.h"
#include "collectors/vocabulary.h"

namespace msp::collectors {

inline constexpr std::uint64_t kProcessTicksPerSecond = 100;  // USER_HZ

struct ProcessLine {
  std::string_view comm;  // any bytes, ") R 1" too
  char state = 0;
  std::uint64_t parent = 0;
  bool is_of_kernel = false;           // a thread of the kernel's own
  std::uint64_t minor = 0, major = 0;  // page faults
  std::uint64_t user = 0, system = 0;  // in USER_HZ of a second
  std::uint64_t threads = 0;
  std::uint64_t start = 0;  // in USER_HZ of a second after the boot
  std::uint64_t virtual_bytes = 0, resident_pages = 0;
};

/// The parts of a line whose values are not looked at yet. Into the line.
struct ProcessParts {
  static constexpr std::size_t kParent = 0, kStart = 18;  // columns of `columns`
  std::string_view comm;
  char state = 0;
  std::string_view columns;  // behind the state
};

/// Nothing where it is no such line, or another process's.
std::optional<ProcessParts> split_process_line(std::string_view line, unsigned pid);

/// Nothing where a value of it is garbled as well. Into `line`.
std::optional<ProcessLine> parse_process_line(std::string_view line, unsigned pid);

/// When the host has booted, in seconds since 1970, by /proc/stat. Nothing where that is not known: `out`
/// is told that `metric` is left out.
std::optional<double> boot_seconds(KeptFile& stat, std::uint64_t tick, const MetricDesc& metric,
                                   SeriesWriter& out);

}  // namespace msp::collectors
