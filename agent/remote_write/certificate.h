// Why a TLS connection did not come about, in words that say whose certificate it is, what is wrong
// with it and what to do. The owner of OpenSSL, which libcurl is built with.
#pragma once

#include <string>
#include <string_view>

namespace msp {

/// Looks on while certificates are verified; what is trusted is decided by OpenSSL. One thread.
class CertificateWatch {
 public:
  /// `ssl_ctx` is the SSL_CTX of a connection that is about to be made and verified; *this outlives
  /// it. When the handshake is over, the context's CA certificates are freed: 0.7 MB of a host's
  /// whole bundle that nobody needs until the next connection.
  void watch(void* ssl_ctx);

  /// Before each request.
  void forget() {
    problem_.clear();
    has_begun_ = false;
  }
  /// Whether a handshake began: there was a connection.
  bool has_begun() const { return has_begun_; }
  /// "the certificate of CN = a expired on ..; ..". Empty: none of the watched was refused.
  const std::string& problem() const { return problem_; }
  /// Who the server's last certificate is for: "a.example.com, b.example.com".
  const std::string& names() const { return names_; }

 private:
  struct Callbacks;

  bool has_begun_ = false;
  std::string problem_;
  std::string names_;
};

/// What OpenSSL's or libcurl's words for a failed handshake mean, and what to do. Empty: nothing is
/// known that the words do not say.
std::string_view tls_advice(std::string_view words);

}  // namespace msp
