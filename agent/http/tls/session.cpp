#include "agent/http/tls/session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <new>
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
    if (made == nullptr) throw std::bad_alloc();  // the next call makes it
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

std::string text_of(unsigned long code) {
  char words[256] = "unknown";
  if (code != 0) ERR_error_string_n(code, words, sizeof words);
  return with_reason(words);
}

/// An address is no name that a server is told.
void expect(SSL* ssl, const std::string& host) {
  auto* const wanted = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1) return;
  SSL_set_tlsext_host_name(ssl, host.c_str());
  X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size());
}

}  // namespace

std::string take_tls_error() {
  const auto code = ERR_peek_last_error();
  ERR_clear_error();
  return text_of(code);
}

Result<void> load_certificate(void* ssl_ctx, const TlsOptions& options) {
  auto* const ctx = static_cast<SSL_CTX*>(ssl_ctx);
  const auto bad_file = [](std::string_view key, const std::string& file) {
    return failed(cat("tls.", key, " ", file, " cannot be used: ", take_tls_error()));
  };
  if (SSL_CTX_use_certificate_chain_file(ctx, options.cert_file.c_str()) != 1) {
    return bad_file("cert_file", options.cert_file);
  }
  if (SSL_CTX_use_PrivateKey_file(ctx, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(ctx) != 1) {
    return bad_file("key_file", options.key_file);
  }
  return {};
}

struct TlsSession::Handle {
  ~Handle() { SSL_free(ssl); }
  SSL* ssl = nullptr;
};

std::unique_ptr<TlsSession> TlsSession::make(void* ssl_ctx, int fd, const std::string& host) {
  auto handle = std::make_unique<Handle>();
  auto* const ssl = handle->ssl = SSL_new(static_cast<SSL_CTX*>(ssl_ctx));
  auto* const bio = BIO_new(socket_method());
  if (ssl == nullptr || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  if (host.empty()) {
    SSL_set_accept_state(ssl);
  } else {
    SSL_set_connect_state(ssl);
    expect(ssl, host);
  }
  return std::unique_ptr<TlsSession>(new TlsSession(std::move(handle)));
}

TlsSession::TlsSession(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
TlsSession::~TlsSession() = default;

ssize_t TlsSession::failed_with(int code) {
  const int error = SSL_get_error(handle_->ssl, code);
  if (error == SSL_ERROR_SSL) error_ = ERR_peek_last_error();
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

ssize_t TlsSession::shake_hands() {
  const int code = SSL_do_handshake(handle_->ssl);
  if (code != 1) return failed_with(code);
  wants_write_ = false;
  return 1;
}

std::string TlsSession::problem() const {
  return error_ == 0 ? std::string() : text_of(error_);
}

void TlsSession::end() {
  if (!is_broken_) SSL_shutdown(handle_->ssl);  // waits for nothing
  ERR_clear_error();
}

}  // namespace msp::http
