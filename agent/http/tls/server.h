// The server's side of TLS 1.2 and 1.3, over sockets that do not block. Certificate, key and the
// authority of client certificates are read from their files, and read again when one has changed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "agent/base/result.h"
#include "agent/http/file_mark.h"
#include "agent/http/options.h"
#include "agent/http/tls/session.h"

namespace msp::http {

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
