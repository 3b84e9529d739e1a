// A connection to a unix socket whose other side may say anything, or nothing at all.
//
// All of it together, from the constructor on, takes no longer than the deadline it was given. For a
// thread that may wait; one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/file.h"
#include "agent/base/result.h"

namespace msp::collectors {

class UnixClient {
 public:
  /// Errors of all calls begin with the path.
  UnixClient(std::string path, std::chrono::milliseconds timeout);

  /// No data where there is no such socket.
  Result<void> connect();
  /// In its place: a socket that is connected already.
  void use(Fd socket) { socket_ = std::move(socket); }

  Result<void> send(std::string_view bytes);
  /// Adds what has come to `in`, waits for it where there is nothing, `most` bytes at most. False: the
  /// other side has closed the connection.
  Result<bool> receive(std::string& in, std::size_t most);

  Error error(std::string_view text) const;

 private:
  Result<void> wait(short events);

  const std::string path_;
  const std::int64_t deadline_ns_;
  const std::chrono::milliseconds timeout_;
  Fd socket_;
};

}  // namespace msp::collectors
