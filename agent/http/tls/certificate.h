// Why a TLS connection did not come about, in words that say whose certificate it is, what is wrong
// with it and what to do. The owner of OpenSSL, which libcurl is built with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agent/http/tls/ca_file.h"
#include "agent/http/tls/ca_store.h"

namespace msp::http {

/// What was seen of one.
struct Handshake {
  std::int64_t begun_ns = 0;  // monotonic clock; 0: none began, so there was no connection
  std::string version;        // "TLSv1.3"; empty: it did not come to its end
  std::string subject;        // of the server's own certificate, "CN = monitor.example.com"
  std::string issuer;
  std::int64_t not_after_s = 0;  // its last second, since 1970
  std::string cipher = {};       // "TLS_AES_256_GCM_SHA384"
  // The last second of what ends first of the certificates that the server sent; 0: it sent none,
  // as where a session goes on.
  std::int64_t chain_not_after_s = 0;
  // The same of the chain that was verified, up to the authority; 0: nothing was to be verified.
  std::int64_t verified_not_after_s = 0;
};

/// Looks on while OpenSSL verifies certificates with what it was told to trust. One thread.
class CertificateWatch {
 public:
  /// What the next connections are verified with; nothing until then.
  void trust(CaStore store) { trusted_ = std::move(store); }

  /// `ssl_ctx` is the SSL_CTX of a connection that is about to be made; *this outlives it. Idle, it
  /// holds no buffers.
  void watch(void* ssl_ctx);

  /// Before each request.
  void forget() {
    problem_.clear();
    handshake_ = {};
  }
  const Handshake& handshake() const { return handshake_; }
  /// "the certificate of CN = a expired on ..; ..". Empty: none of the watched was refused.
  const std::string& problem() const { return problem_; }
  /// Who the server's last certificate is for: "a.example.com, b.example.com".
  const std::string& names() const { return names_; }

 private:
  struct Callbacks;

  CaStore trusted_;
  CaFile ca_file_;
  Handshake handshake_;
  std::string problem_;
  std::string names_;
};

/// Once, before there are threads and before a request.
void init_tls();

/// OpenSSL's and libcurl's words for a failure with the reason in words where it is a number: its
/// texts would be 70 kB of memory at all times, so those of TLS and of certificates are loaded when
/// the first failure asks for them. Any thread.
std::string with_reason(std::string words);

/// What OpenSSL's or libcurl's words for a failed handshake mean, and what to do. Empty: nothing is
/// known that the words do not say.
std::string_view tls_advice(std::string_view words);

}  // namespace msp::http
