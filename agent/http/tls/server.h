// The server's side of TLS 1.2 and 1.3, over sockets that do not block. Certificate, key and the
// authority of client certificates are read from their files, and read again when one has changed.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "agent/base/result.h"
#include "agent/http/file_mark.h"
#include "agent/http/options.h"

namespace msp::http {

/// One connection. The socket is the caller's, and outlives it.
class TlsSession {
 public:
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  /// As recv(2) and send(2), the handshake included: -1 with EAGAIN, to be called again when the
  /// socket is ready, or with another error. All that read() has is read with 16 KiB at once.
  ssize_t read(char* bytes, std::size_t size);
  ssize_t write(std::string_view bytes);
  /// read() waits for the socket to take something.
  bool wants_write() const { return wants_write_; }
  /// Tells the client that nothing follows.
  void end();

 private:
  friend class TlsServer;
  struct Handle;
  explicit TlsSession(std::unique_ptr<Handle> handle);
  ssize_t failed_with(int code);

  std::unique_ptr<Handle> handle_;
  bool wants_write_ = false;
  bool is_broken_ = false;
};

/// One thread.
class TlsServer {
 public:
  /// With `options.ca_file` a client needs a certificate of that authority.
  explicit TlsServer(TlsOptions options);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  /// Reads the files if they are others than before. After an error what was read before stays in
  /// force. The error names the file.
  Result<void> load();

  /// The last second of the certificate, since 1970; 0 where nothing is loaded.
  std::int64_t not_after_s() const;

  /// Null where nothing is loaded.
  std::unique_ptr<TlsSession> accept(int fd);

 private:
  struct Context;
  Result<std::unique_ptr<Context>> make() const;

  const TlsOptions options_;
  std::array<FileMark, 3> files_{};
  std::unique_ptr<Context> context_;
};

}  // namespace msp::http
