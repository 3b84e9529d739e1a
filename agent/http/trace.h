// What one request went through on its way: how far it came, and what took its time.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/http/tls/certificate.h"

namespace msp::http {

/// How far it came.
enum class Reached {
  nothing,     // the name does not resolve
  name,        // no address of it can be connected to
  connection,  // the proxy answered, and no further
  tls,         // a handshake began
  server,      // the request went out
};

/// What the time of a request went to, as blackbox_exporter divides it.
enum class HttpPhase { resolve, connect, tls, processing, transfer };
inline constexpr std::size_t kHttpPhases = 5;

struct HttpTrace {
  Reached reached = Reached::nothing;
  // Microseconds from the request's beginning to the end of each step; 0: it did not come to that.
  std::int64_t resolved_us = 0;
  std::int64_t connected_us = 0;
  std::int64_t tls_begun_us = 0;
  std::int64_t tls_us = 0;
  std::int64_t first_byte_us = 0;  // of the answer
  std::int64_t total_us = 0;
  int http_version = 0;  // of the answer: 10, 11; 0: there was none
  int redirects = 0;     // that were followed
  std::vector<std::string> addresses =
      {};                  // tried, "192.0.2.7:443"; the last one answered, if any did
  std::string proxy = {};  // "proxy:3128"; empty: none was asked
  int proxy_status = 0;    // its answer to CONNECT; 0: it was not asked for that
  Handshake handshake = {};
  // For probes. Of the answer that came last, whole or not; 0: there was none.
  int status = 0;
  std::int64_t content_length = -1;  // its Content-Length; -1: it has none
  std::size_t body_bytes = 0;        // that have arrived
  std::int64_t took_us = 0;          // with all redirects
  std::int64_t task_us = 0;          // of that, with its task
  // Before redirects: the address that was tried last, as in `addresses`, and how long its look-up took.
  std::string home_address = {};
  std::int64_t home_resolved_us = 0;
  std::array<std::int64_t, kHttpPhases> phases_us = {};  // with those of all redirects

  std::int64_t& phase(HttpPhase which) { return phases_us[static_cast<std::size_t>(which)]; }

  /// An address that is about to be tried.
  void add_address(const sockaddr* address);
};

}  // namespace msp::http
