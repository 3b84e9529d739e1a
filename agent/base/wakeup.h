// Wakes a thread that waits in poll(2): eventfd(2). Shared by whoever may wake it, so that a thread
// that hung and comes back late still has something to wake.
#pragma once

#include "agent/base/file.h"

namespace msp {

class Wakeup {
 public:
  /// Without a descriptor, where there are none left, nobody is woken: who waits then does so until
  /// its time is up.
  Wakeup();

  /// From any thread, also when nobody waits: then the next wait ends at once.
  void wake() const;

  /// Readable once it was woken, until clear(); -1 where there is none.
  int fd() const { return fd_.get(); }
  void clear() const;

  /// Returns when it is woken, then cleared, or after `wait_ns`.
  void wait(std::int64_t wait_ns) const;

 private:
  Fd fd_;
};

}  // namespace msp
