#include "agent/http/tls/server.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <string>
#include <utility>

#include "agent/base/text.h"
#include "agent/http/tls/certificate.h"

namespace msp::http {
namespace {

// The static binary's OpenSSL has no sockets of its own.

int fd_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int result_of(BIO* bio, ssize_t got, int retry) {
  BIO_clear_retry_flags(bio);
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(got);
}

int bio_read(BIO* bio, char* bytes, int size) {
  return result_of(bio, ::recv(fd_of(bio), bytes, static_cast<std::size_t>(size), 0),
                   BIO_FLAGS_READ);
}

int bio_write(BIO* bio, const char* bytes, int size) {
  return result_of(bio, ::send(fd_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL),
                   BIO_FLAGS_WRITE);
}

long bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    auto* const made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "socket");
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

/// OpenSSL's words for what has just failed, and none left for what fails next.
std::string take_reason() {
  char words[256] = "unknown";
  if (const auto code = ERR_peek_last_error(); code != 0)
    ERR_error_string_n(code, words, sizeof words);
  ERR_clear_error();
  return with_reason(words);
}

Error bad_file(std::string_view key, const std::string& file) {
  return failed(cat("tls.", key, " ", file, " cannot be used: ", take_reason()));
}

}  // namespace

struct TlsServer::Context {
  ~Context() { SSL_CTX_free(ctx); }
  SSL_CTX* const ctx = SSL_CTX_new(TLS_server_method());
};

struct TlsSession::Handle {
  ~Handle() { SSL_free(ssl); }
  SSL* ssl = nullptr;
};

TlsServer::TlsServer(TlsOptions options) : options_(std::move(options)) {}
TlsServer::~TlsServer() = default;

Result<std::unique_ptr<TlsServer::Context>> TlsServer::make() const {
  auto context = std::make_unique<Context>();
  auto* const ctx = context->ctx;
  if (ctx == nullptr) return failed(cat("TLS cannot be used: ", take_reason()));
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_num_tickets(ctx, 0);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_use_certificate_chain_file(ctx, options_.cert_file.c_str()) != 1) {
    return bad_file("cert_file", options_.cert_file);
  }
  if (SSL_CTX_use_PrivateKey_file(ctx, options_.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(ctx) != 1) {
    return bad_file("key_file", options_.key_file);
  }
  if (options_.ca_file.empty()) return context;
  auto* const names = SSL_load_client_CA_file(options_.ca_file.c_str());
  if (names == nullptr ||
      SSL_CTX_load_verify_locations(ctx, options_.ca_file.c_str(), nullptr) != 1) {
    return bad_file("client_ca_file", options_.ca_file);
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
  if (!context_) return nullptr;
  auto handle = std::make_unique<TlsSession::Handle>();
  handle->ssl = SSL_new(context_->ctx);
  auto* const bio = BIO_new(socket_method());
  if (handle->ssl == nullptr || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(handle->ssl, bio, bio);
  SSL_set_accept_state(handle->ssl);
  return std::unique_ptr<TlsSession>(new TlsSession(std::move(handle)));
}

TlsSession::TlsSession(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
TlsSession::~TlsSession() = default;

ssize_t TlsSession::failed_with(int code) {
  const int error = SSL_get_error(handle_->ssl, code);
  ERR_clear_error();
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  const bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  is_broken_ = !waits;
  errno = waits ? EAGAIN : EPROTO;
  return -1;
}

ssize_t TlsSession::read(char* bytes, std::size_t size) {
  std::size_t got = 0;
  const int code = SSL_read_ex(handle_->ssl, bytes, size, &got);
  if (code != 1) return failed_with(code);
  wants_write_ = false;
  return static_cast<ssize_t>(got);
}

ssize_t TlsSession::write(std::string_view bytes) {
  std::size_t sent = 0;
  const int code = SSL_write_ex(handle_->ssl, bytes.data(), bytes.size(), &sent);
  if (code != 1) return failed_with(code);
  return static_cast<ssize_t>(sent);
}

void TlsSession::end() {
  if (!is_broken_) SSL_shutdown(handle_->ssl);  // waits for nothing
  ERR_clear_error();
}

}  // namespace msp::http
