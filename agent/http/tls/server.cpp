#include "agent/http/tls/server.h"

#include <openssl/ssl.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <utility>

#include "agent/base/text.h"

namespace msp::http {
struct TlsServer::Context {
  ~Context() { SSL_CTX_free(ctx); }
  SSL_CTX* const ctx = SSL_CTX_new(TLS_server_method());
};

TlsServer::TlsServer(TlsOptions options) : options_(std::move(options)) {}
TlsServer::~TlsServer() = default;

Result<std::unique_ptr<TlsServer::Context>> TlsServer::make() const {
  auto context = std::make_unique<Context>();
  auto* const ctx = context->ctx;
  if (ctx == nullptr) return failed(cat("TLS cannot be used: ", take_tls_error()));
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_num_tickets(ctx, 0);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (auto loaded = load_certificate(ctx, options_); !loaded) return loaded.error();
  if (options_.ca_file.empty()) return context;
  auto* const names = SSL_load_client_CA_file(options_.ca_file.c_str());
  if (names == nullptr ||
      SSL_CTX_load_verify_locations(ctx, options_.ca_file.c_str(), nullptr) != 1) {
    return failed(
        cat("tls.client_ca_file ", options_.ca_file, " cannot be used: ", take_tls_error()));
  }
  SSL_CTX_set_client_CA_list(ctx, names);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return context;
}

Result<void> TlsServer::load() {
  const std::array<FileMark, 3> now = {mark_of(options_.cert_file), mark_of(options_.key_file),
                                       mark_of(options_.ca_file)};
  if (context_ && now == files_) return {};
  // Not tried again before they change once more, as long as there is something to go on with.
  files_ = now;
  auto made = make();
  if (!made) return made.error();
  context_ = std::move(*made);
  return {};
}

std::int64_t TlsServer::not_after_s() const {
  tm parts{};
  const auto* const certificate = context_ ? SSL_CTX_get0_certificate(context_->ctx) : nullptr;
  if (certificate == nullptr) return 0;
  return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) == 1 ? ::timegm(&parts) : 0;
}

std::unique_ptr<TlsSession> TlsServer::accept(int fd) {
  return context_ ? TlsSession::make(context_->ctx, fd, {}) : nullptr;
}

}  // namespace msp::http
