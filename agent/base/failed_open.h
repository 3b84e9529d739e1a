// For whoever takes what it cannot open as what is not there, and leaves it out: where this process
// or the host lacks descriptors or memory, it may be there, and that must not go unsaid.
#pragma once

#include <cerrno>
#include <utility>

namespace msp {

inline thread_local int failed_open_errno = 0;

/// Right after a failed open(2): remembers errno, if it says so.
inline void note_failed_open() {
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) failed_open_errno = errno;
}

/// The errno of the last of them in this thread since the call before; 0: there was none.
inline int take_failed_open() {
  return std::exchange(failed_open_errno, 0);
}

}  // namespace msp
