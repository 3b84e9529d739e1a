// TLS over a socket that does not block, at either end. The socket is the caller's, and outlives the
// session.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "agent/base/result.h"
#include "agent/http/options.h"

namespace msp::http {

/// OpenSSL's words for what has just failed, and none left for what fails next.
std::string take_tls_error();

/// Gives an SSL_CTX the certificate and the key of `options`. The error names the file.
Result<void> load_certificate(void* ssl_ctx, const TlsOptions& options);

class TlsSession {
 public:
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  /// As recv(2) and send(2), the handshake included: -1 with EAGAIN, to be called again when the
  /// socket is ready, or with another error. All that read() has is read with 16 KiB at once.
  ssize_t read(char* bytes, std::size_t size);
  ssize_t write(std::string_view bytes);
  /// The handshake alone: 1 when it is made, 0 where the other end has closed the connection.
  ssize_t shake_hands();
  /// The last of them waits for the socket to take something.
  bool wants_write() const { return wants_write_; }
  /// Tells the other end that nothing follows.
  void end();
  /// Why it cannot go on, in OpenSSL's words; empty where it can, or it was not TLS that failed.
  std::string problem() const;

 private:
  friend class TlsServer;
  friend class TlsClient;
  struct Handle;
  /// With an SSL_CTX; null: there is no memory. `host` is the server that the certificate must be of;
  /// empty: this is the server.
  static std::unique_ptr<TlsSession> make(void* ssl_ctx, int fd, const std::string& host);
  explicit TlsSession(std::unique_ptr<Handle> handle);
  ssize_t failed_with(int code);

  std::unique_ptr<Handle> handle_;
  unsigned long error_ = 0;  // OpenSSL's code
  bool wants_write_ = false;
  bool is_broken_ = false;
};

}  // namespace msp::http
