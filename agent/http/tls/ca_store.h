// Where this host has the CA certificates that it trusts: the layouts of Debian, Ubuntu, Alpine,
// RHEL, Fedora, Amazon Linux and SUSE.
#pragma once

#include <string>

#include "agent/base/result.h"

namespace msp::http {

/// One of the two is set.
struct CaStore {
  std::string file;
  std::string folder;  // of one file per certificate, each found by a hash of its name
};

/// The error says where it looked and what to do.
Result<CaStore> find_ca_store();

}  // namespace msp::http
