#include "agent/http/tls/ca_store.h"

#include <dirent.h>
#include <unistd.h>

#include <string_view>

#include "agent/base/text.h"

namespace msp::http {
namespace {

// Debian, Ubuntu, Alpine; RHEL, Fedora, Amazon Linux; SUSE; what is left.
constexpr const char* kCaFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};
// Everybody but RHEL; RHEL from 9 on.
constexpr const char* kCaFolders[] = {
    "/etc/ssl/certs",
    "/etc/pki/ca-trust/extracted/pem/directory-hash",
};
// A few links made by hand are not the host's store.
constexpr int kHashedCertificatesMin = 32;

bool is_hashed(const char* folder) {
  DIR* const entries = opendir(folder);
  if (entries == nullptr) return false;
  int found = 0;
  while (const auto* entry = readdir(entries)) {
    if (std::string_view(entry->d_name).ends_with(".0")) ++found;
  }
  closedir(entries);
  return found >= kHashedCertificatesMin;
}

}  // namespace

// The folder before the file: it is an index already, of the file one has to be made.
Result<CaStore> find_ca_store() {
  for (const auto* folder : kCaFolders) {
    if (is_hashed(folder)) return CaStore{.file = {}, .folder = folder};
  }
  for (const auto* file : kCaFiles) {
    if (access(file, R_OK) == 0) return CaStore{.file = file, .folder = {}};
  }
  std::string looked;
  for (const auto* file : kCaFiles) looked += cat(looked.empty() ? "" : ", ", file);
  return failed(cat("no CA certificates to verify the server with: this host has none of ", looked,
                    "; install its package ca-certificates or set tls.ca_file"));
}

}  // namespace msp::http
