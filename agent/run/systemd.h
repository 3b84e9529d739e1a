// The words to the service manager: sd_notify(3) by hand, one datagram per message to the socket
// that $NOTIFY_SOCKET names. Nothing of libsystemd: the protocol is smaller than linking it.
//
// Never waits: when the manager does not read, a message fails and the caller says it again later.
// Without $NOTIFY_SOCKET nothing is sent and nothing is wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/file.h"

namespace msp::run {

/// One thread.
class Notify {
 public:
  /// `address` as in $NOTIFY_SOCKET: a path, or "@name" in the abstract namespace; empty: nobody
  /// listens. `watchdog_ns` is how long the manager waits between two signs of life; 0: for ever.
  Notify(std::string_view address, std::int64_t watchdog_ns);

  /// As $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID of this process say
  /// (sd_watchdog_enabled(3)).
  static Notify from_environment();

  bool listened_to() const { return static_cast<bool>(socket_); }
  std::int64_t watchdog_ns() const { return watchdog_ns_; }

  struct Message {
    bool ready = false;      // started, or done with a reload
    bool alive = false;      // what the watchdog waits for
    bool reloading = false;  // until the next `ready`
    bool stopping = false;
    std::string status = {};  // one line for people; empty: as it was
  };
  /// False where the manager could not be told. True where there is none.
  bool send(const Message& message);

 private:
  std::string address_;  // as the kernel has it: an abstract name begins with a zero byte
  std::int64_t watchdog_ns_;
  Fd socket_;
};

}  // namespace msp::run
