// Which process a pid is: two processes that had the same one differ in their start.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "agent/base/result.h"

namespace msp::run {

struct ProcessStat {
  char state = '?';               // as in proc(5): R, S, D, T (stopped), Z (gone, not yet reaped)
  std::uint64_t start_ticks = 0;  // since boot
};

/// Of this host's own /proc, whatever --path.procfs is. Error::Kind::no_data: there is none.
Result<ProcessStat> read_process(pid_t pid);

}  // namespace msp::run
