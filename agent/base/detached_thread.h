// A thread that nobody joins, for a call that may never return.
#pragma once

#include <cstddef>
#include <functional>

#include "agent/base/result.h"

namespace msp {

/// Enough for a system call and a signal frame.
inline constexpr std::size_t kSmallStackBytes = 64 * 1024;

/// `run` owns all that it uses, for the thread may outlive everything else. All signals are left to
/// other threads. An exception of `run` ends the thread, with a line in the log. The error says that
/// there can be no more threads.
Result<void> start_detached(std::function<void()> run, std::size_t stack_bytes);

}  // namespace msp
