// A TLS client (1.2 and 1.3) for protocols other than HTTP, on non-blocking sockets.
#pragma once

#include <memory>
#include <string>

#include "agent/base/result.h"
#include "agent/http/options.h"
#include "agent/http/tls/certificate.h"
#include "agent/http/tls/session.h"

namespace msp::http {

/// Of one connection; one thread at a time.
class TlsClient {
 public:
  /// Reads the files of `options`. An error says what this host lacks.
  static Result<std::unique_ptr<TlsClient>> make(const TlsOptions& options);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  /// `host` is the server that the certificate must be of. Null: there is no memory. *this outlives the
  /// session.
  std::unique_ptr<TlsSession> connect(int fd, const std::string& host);

  const Handshake& handshake() const { return watch_.handshake(); }
  /// Why the session broke: what is wrong with a certificate, or OpenSSL's words.
  std::string problem_of(const TlsSession& session) const;

 private:
  TlsClient();

  CertificateWatch watch_;
  void* const ctx_;  // SSL_CTX
};

}  // namespace msp::http
