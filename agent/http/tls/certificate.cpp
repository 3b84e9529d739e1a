#define OPENSSL_SUPPRESS_DEPRECATED  // loading the texts of some libraries, not of all, is

#include "agent/http/tls/certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <memory>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::http {
namespace {

constexpr int kNamesShownMax = 5;
constexpr std::size_t kNameBytesMax = 256;

/// "CN = monitor.example.com, O = Example", as `openssl x509 -subject` shows it.
std::string name_text(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), BIO_free);
  if (!memory || X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_ONELINE) < 0) return "?";
  char* text = nullptr;
  const auto size = BIO_get_mem_data(memory.get(), &text);
  if (size <= 0) return "no name";
  return {text, std::min(static_cast<std::size_t>(size), kNameBytesMax)};
}

std::string two_digits(int number) {
  return cat(number < 10 ? "0" : "", number);
}

std::string day_text(const tm& time) {
  return cat(time.tm_year + 1900, "-", two_digits(time.tm_mon + 1), "-", two_digits(time.tm_mday));
}

std::string time_text(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown day";
  return cat(day_text(parts), " ", two_digits(parts.tm_hour), ":", two_digits(parts.tm_min),
             " UTC");
}

/// To the day: a text that changes with every minute is another problem every minute.
std::string today_text() {
  const time_t now = wall_ns() / kNsPerSecond;
  tm parts{};
  gmtime_r(&now, &parts);
  return day_text(parts);
}

std::string alternative_name(const GENERAL_NAME& name) {
  int kind = 0;
  const auto* const value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(&name, &kind));
  if (kind != GEN_DNS && kind != GEN_IPADD) return {};
  const auto* const bytes = ASN1_STRING_get0_data(value);
  const auto size = static_cast<std::size_t>(ASN1_STRING_length(value));
  if (kind == GEN_DNS) {
    return {reinterpret_cast<const char*>(bytes), std::min(size, kNameBytesMax)};
  }
  char address[INET6_ADDRSTRLEN] = {};
  inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, address, sizeof address);
  return size == 4 || size == 16 ? address : "";
}

std::string names_of(const X509* certificate) {
  auto* const all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  if (all == nullptr) return name_text(X509_get_subject_name(certificate));
  std::string text;
  int shown = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const auto name = alternative_name(*sk_GENERAL_NAME_value(all, i));
    if (name.empty()) continue;
    if (shown == kNamesShownMax) {
      text += " and others";
      break;
    }
    text += cat(shown++ == 0 ? "" : ", ", name);
  }
  GENERAL_NAMES_free(all);
  return text;
}

/// Its last second, since 1970; 0: it is not known.
std::int64_t end_of(const X509* certificate) {
  tm parts{};
  const bool is_known = ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) == 1;
  return is_known ? timegm(&parts) : 0;
}

void read_certificate(const X509* certificate, Handshake& out) {
  out.subject = name_text(X509_get_subject_name(certificate));
  out.issuer = name_text(X509_get_issuer_name(certificate));
  out.not_after_s = end_of(certificate);
}

/// The first end of all of them; 0: there are none.
std::int64_t end_of_chain(const STACK_OF(X509) * chain) {
  std::int64_t first_s = 0;
  for (int i = 0; i < sk_X509_num(chain); ++i) {  // -1 of none
    const auto end_s = end_of(sk_X509_value(chain, i));
    if (i == 0 || end_s < first_s) first_s = end_s;
  }
  return first_s;
}

std::string describe(int error, const X509* certificate, bool is_servers_own) {
  constexpr std::string_view kTrustIt =
      "if that is right, put it into a file and name it as tls.ca_file";
  if (certificate == nullptr) return X509_verify_cert_error_string(error);
  const auto subject = name_text(X509_get_subject_name(certificate));
  const auto issuer = name_text(X509_get_issuer_name(certificate));
  const auto whose =
      cat(is_servers_own ? "the certificate of " : "the certificate of the authority ", subject);
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return cat(whose, " expired on ", time_text(X509_get0_notAfter(certificate)),
                 " and this host's clock says ", today_text(), "; renew it, or set the clock");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return cat(whose, " is valid from ", time_text(X509_get0_notBefore(certificate)),
                 " only and this host's clock says ", today_text(), "; is the clock right?");
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return cat(whose, " is self-signed: nobody vouches for it; ", kTrustIt);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return cat("the server's certificate is vouched for by ", subject,
                 ", an authority that this host does not trust; ", kTrustIt);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return cat(whose, " was issued by ", issuer,
                 ", whose certificate is neither trusted by this host nor sent by the server; set "
                 "tls.ca_file to the authority's, or let the server send its whole chain");
    default:
      return cat(whose, ", issued by ", issuer, ": ", X509_verify_cert_error_string(error));
  }
}

}  // namespace

struct CertificateWatch::Callbacks {
  /// What OpenSSL calls for each certificate of a chain, and again for each thing wrong with one.
  static int on_certificate(int is_good, X509_STORE_CTX* chain) {
    const auto* const ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto& watch = *static_cast<CertificateWatch*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    const auto* const certificate = X509_STORE_CTX_get_current_cert(chain);
    const bool is_servers_own = X509_STORE_CTX_get_error_depth(chain) == 0;
    if (is_servers_own && certificate != nullptr) read_certificate(certificate, watch.handshake_);
    if (is_good == 1) {
      if (is_servers_own && certificate != nullptr) watch.names_ = names_of(certificate);
    } else if (SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE) {
      watch.problem_ = watch.ca_file_.problem();
      if (watch.problem_.empty()) {
        watch.problem_ = describe(X509_STORE_CTX_get_error(chain), certificate, is_servers_own);
      }
    }
    return is_good;
  }

  static void on_progress(const SSL* ssl, int where, int) {
    if ((where & SSL_CB_HANDSHAKE_DONE) == 0) return;
    auto& watch = *static_cast<CertificateWatch*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    watch.handshake_.version = SSL_get_version(ssl);
    const auto* const cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl));
    watch.handshake_.cipher = cipher != nullptr ? cipher : "";
    watch.handshake_.chain_not_after_s = end_of_chain(SSL_get_peer_cert_chain(ssl));
    if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE) return;
    watch.handshake_.verified_not_after_s = end_of_chain(SSL_get0_verified_chain(ssl));
  }
};

void CertificateWatch::watch(void* ssl_ctx) {
  handshake_ = {};
  handshake_.begun_ns = monotonic_ns();
  auto* const context = static_cast<SSL_CTX*>(ssl_ctx);
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  // Some servers close without saying so in TLS. Whether an answer is whole, HTTP tells.
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context), Callbacks::on_certificate);
  SSL_CTX_set_info_callback(context, Callbacks::on_progress);
  auto* const store = SSL_CTX_get_cert_store(context);
  ca_file_.serve(store, trusted_.file);
  if (!trusted_.folder.empty()) X509_STORE_load_path(store, trusted_.folder.c_str());
}

// All that a certificate may be signed with, and for two of them that it is refused as too weak.
// The static binary's OpenSSL knows by name only what it is told here, which saves it 30 kB.
void init_tls() {
  for (const auto* digest :
       {EVP_md5(), EVP_sha1(), EVP_sha224(), EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
    EVP_add_digest(digest);
  }
}

// Of "error:0A00010B:lib(20)::reason(267)" the first number says all. It stays as it is where the
// library is not one of these: `openssl errstr 0A00010B` has the words.
std::string with_reason(std::string words) {
  constexpr std::string_view kBegin = "error:";
  constexpr std::string_view kReason = "::reason(";
  const auto reason = words.find(kReason);
  const auto end = words.find(')', reason);
  const auto begin = words.rfind(kBegin, reason);
  if (reason == std::string::npos || end == std::string::npos || begin == std::string::npos) {
    return words;
  }
  unsigned long code = 0;
  std::from_chars(words.data() + begin + kBegin.size(), words.data() + end, code, 16);
  ERR_load_ERR_strings();
  ERR_load_SSL_strings();
  ERR_load_X509_strings();
  ERR_load_PEM_strings();
  ERR_load_ASN1_strings();
  char text[256];
  ERR_error_string_n(code, text, sizeof text);
  return words.replace(begin, end + 1 - begin, text);
}

std::string_view tls_advice(std::string_view words) {
  constexpr std::string_view kNoTls =
      "it does not speak TLS there; if that is meant, the url must begin with http://";
  constexpr std::string_view kRefused =
      "it does not accept the client certificate of tls.cert_file";
  constexpr std::string_view kMeanings[][2] = {
      {"wrong version number", kNoTls},
      {"packet length too long", kNoTls},
      {"unsupported protocol", "it speaks no TLS that is still safe; the agent speaks 1.2 and 1.3"},
      {"alert protocol version", "it does not speak TLS 1.2 or 1.3, which the agent does"},
      {"certificate required", "it asks for a client certificate: set tls.cert_file and key_file"},
      {"alert bad certificate", kRefused},
      {"alert unknown ca", kRefused},
      {"alert certificate", kRefused},  // expired, revoked, unknown
      {"alert decrypt error", kRefused},
      {"alert handshake failure",
       "it has no cipher in common with the agent, or asks for a client certificate: "
       "tls.cert_file"},
  };
  for (const auto& [part, meaning] : kMeanings) {
    if (words.find(part) != std::string_view::npos) return meaning;
  }
  return {};
}

}  // namespace msp::http
