#include "agent/http/tls/ca_file.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "agent/base/file.h"
#include "agent/base/text.h"

namespace msp::http {
namespace {

using File = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

/// Null with the reason. A FIFO is refused: it would keep the thread waiting.
File open_file(const std::string& path, std::string& reason) {
  auto fd = open_regular_file(path);
  auto* const file = fd ? ::fdopen(fd->get(), "r") : nullptr;
  if (file == nullptr) {
    reason = fd ? errno_text(errno) : fd.error().text;
    return {nullptr, BIO_free};
  }
  fd->release();  // the stream's now
  File opened(BIO_new_fp(file, BIO_CLOSE), BIO_free);
  if (!opened) {
    ::fclose(file);
    reason = errno_text(ENOMEM);
  }
  return opened;
}

/// The next one, whatever else stands before it.
Certificate next_certificate(const File& file) {
  return {PEM_read_bio_X509_AUX(file.get(), nullptr, nullptr, nullptr), X509_free};
}

}  // namespace

struct CaFile::Lookup {
  /// Into `store` go all with that subject, for an authority may have renewed its own.
  static void load(CaFile& from, const X509_NAME* subject, X509_STORE* store) {
    from.read_through();
    const auto hash = X509_NAME_hash_ex(subject, nullptr, nullptr, nullptr);
    File file(nullptr, BIO_free);
    for (const auto& entry : from.entries_) {
      if (entry.subject_hash != hash) continue;
      std::string reason;  // a file that is gone again is told by the next read_through()
      if (!file) file = open_file(from.path_, reason);
      if (!file || BIO_seek(file.get(), entry.offset) < 0) return;
      const auto certificate = next_certificate(file);
      if (certificate) X509_STORE_add_cert(store, certificate.get());
    }
  }

  static int by_subject(X509_LOOKUP* lookup, X509_LOOKUP_TYPE type, const X509_NAME* subject,
                        X509_OBJECT* found) {
    if (type != X509_LU_X509) return 0;
    auto* const store = X509_LOOKUP_get_store(lookup);
    ERR_set_mark();
    load(*static_cast<CaFile*>(X509_LOOKUP_get_method_data(lookup)), subject, store);
    ERR_pop_to_mark();
    const auto* const loaded =
        X509_OBJECT_retrieve_by_subject(X509_STORE_get0_objects(store), type, subject);
    auto* const certificate = loaded != nullptr ? X509_OBJECT_get0_X509(loaded) : nullptr;
    if (certificate == nullptr || X509_OBJECT_set1_X509(found, certificate) != 1) return 0;
    X509_free(certificate);  // what a lookup gives is borrowed: the store owns it
    return 1;
  }
};

void CaFile::serve(X509_STORE* store, const std::string& path) {
  static auto* const method = [] {
    auto* const made = X509_LOOKUP_meth_new("CA certificates of a file, on demand");
    if (made != nullptr) X509_LOOKUP_meth_set_get_by_subject(made, Lookup::by_subject);
    return made;
  }();
  if (path != path_) entries_.clear();
  path_ = path;
  problem_.clear();
  if (path.empty()) return;
  auto* const lookup = method != nullptr ? X509_STORE_add_lookup(store, method) : nullptr;
  if (lookup != nullptr) X509_LOOKUP_set_method_data(lookup, this);
}

/// After it, entries_ are those of the file as it is now; none: problem_ says why.
void CaFile::read_through() {
  const auto now = mark_of(path_);
  if (!entries_.empty() && now == mark_) return;
  mark_ = now;
  entries_.clear();
  std::string reason;
  const auto file = open_file(path_, reason);
  if (!file) {
    problem_ = cat("the CA file ", path_, " cannot be read: ", reason,
                   "; it must be there, for the agent's user to read");
    return;
  }
  long offset = 0;
  while (const auto certificate = next_certificate(file)) {
    entries_.push_back({X509_subject_name_hash(certificate.get()), offset});
    offset = BIO_tell(file.get());
  }
  const auto error = ERR_peek_last_error();
  const bool is_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!is_end) {
    problem_ = cat("certificate ", entries_.size() + 1, " of the CA file ", path_,
                   " is damaged; replace the file, or take that one out");
    entries_.clear();
  } else if (entries_.empty()) {
    problem_ =
        cat("the CA file ", path_, " holds no certificate in PEM form; put the authority's there");
  }
}

}  // namespace msp::http
