#include "agent/http/tls/client.h"

#include <openssl/ssl.h>

#include <utility>

#include "agent/base/text.h"
#include "agent/http/tls/ca_store.h"

namespace msp::http {

TlsClient::TlsClient() : ctx_(SSL_CTX_new(TLS_client_method())) {}

TlsClient::~TlsClient() {
  SSL_CTX_free(static_cast<SSL_CTX*>(ctx_));
}

Result<std::unique_ptr<TlsClient>> TlsClient::make(const TlsOptions& options) {
  std::unique_ptr<TlsClient> client(new TlsClient);
  auto* const ctx = static_cast<SSL_CTX*>(client->ctx_);
  if (ctx == nullptr) return failed(cat("TLS cannot be used: ", take_tls_error()));
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!options.insecure_skip_verify) {
    auto store = options.ca_file.empty() ? find_ca_store() : CaStore{options.ca_file, {}};
    if (!store) return store.error();
    client->watch_.trust(std::move(*store));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  }
  client->watch_.watch(ctx);
  if (options.cert_file.empty()) return client;
  if (auto loaded = load_certificate(ctx, options); !loaded) return loaded.error();
  return client;
}

std::unique_ptr<TlsSession> TlsClient::connect(int fd, const std::string& host) {
  return TlsSession::make(ctx_, fd, host);
}

std::string TlsClient::problem_of(const TlsSession& session) const {
  return watch_.problem().empty() ? session.problem() : watch_.problem();
}

}  // namespace msp::http
