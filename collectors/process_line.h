// One line of /proc/PID/stat (proc(5)):
//   811 (nginx: worker) S 810 810 810 0 -1 4194624 1203 0 4 0 88 41 0 0 20 0 3 0 7044 ...
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

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

/// Nothing where a value of it is garbled, and where it is another process's. Into `line`.
std::optional<ProcessLine> parse_process_line(std::string_view line, unsigned pid);

}  // namespace msp::collectors
