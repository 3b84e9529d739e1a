// CA certificates in a file of PEM form. OpenSSL would hold all of it while it verifies: of a
// host's whole bundle 0.7 MB, for the one or two that a chain needs.
#pragma once

#include <string>
#include <vector>

#include "agent/http/file_mark.h"

struct x509_store_st;  // OpenSSL's X509_STORE

namespace msp::http {

/// The file is read through once, and again when it has changed; a certificate is read when a chain
/// asks for it. One thread.
class CaFile {
 public:
  /// `store` asks it for what it verifies with, unless `path` is empty. *this outlives `store`.
  void serve(x509_store_st* store, const std::string& path);

  /// "the CA file F cannot be read: ..; ..". It vouches for nobody then, not even with what can be
  /// read of it. Empty: nothing is wrong, or nobody asked since serve().
  const std::string& problem() const { return problem_; }

 private:
  struct Entry {
    unsigned long subject_hash;  // X509_NAME_hash_ex(3)
    long offset;                 // bytes from the file's begin
  };
  struct Lookup;

  void read_through();

  std::string path_;
  FileMark mark_{};
  std::vector<Entry> entries_;
  std::string problem_;
};

}  // namespace msp::http
