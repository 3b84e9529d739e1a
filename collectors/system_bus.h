// A connection to a D-Bus message bus: logs in as the user of this process, makes one call after the
// other and waits for its answer.
//
// All of it together, from the constructor on, takes no longer than the deadline it was given,
// whatever the bus does, and holds no more than one message of kReplyBytesMax. For a thread that may
// wait; one thread at a time. Messages that answer nothing (signals) are passed over.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/result.h"
#include "collectors/dbus_message.h"
#include "collectors/unix_client.h"

namespace msp::collectors {

class SystemBus {
 public:
  /// 10,000 units are described in 3 MB.
  static constexpr std::size_t kReplyBytesMax = 8 << 20;

  SystemBus(std::string path, std::chrono::milliseconds timeout)
      : client_(std::move(path), timeout) {}

  /// Connects to the unix socket at the path. No data where there is none. Errors of all calls begin
  /// with the path.
  Result<void> connect();
  /// The same with a socket that is connected already.
  Result<void> connect(Fd socket);

  /// The answer, valid until the next call. An error that the called service returns, such as one
  /// that it does not know the method, is an answer of type DbusMessage::kError.
  Result<DbusMessage> call(const DbusCall& call);

 private:
  Result<void> log_in();
  Result<void> receive(std::size_t bytes);
  Result<std::string> receive_line();

  UnixClient client_;
  std::string in_;        // what was received and not yet given out
  std::size_t used_ = 0;  // of in_
  std::uint32_t serial_ = 0;
};

}  // namespace msp::collectors
