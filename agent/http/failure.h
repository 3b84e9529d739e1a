// Why a request got no answer, in words: what failed, with whom, and what to do.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "agent/http/answer.h"
#include "agent/http/options.h"
#include "agent/http/tls/certificate.h"
#include "agent/http/trace.h"
#include "agent/http/url.h"

namespace msp::http {

struct Failure {
  int code = 0;       // a CURLcode
  std::string words;  // libcurl's or OpenSSL's for it, on one line
  Reached reached = Reached::nothing;
  bool is_proxy = false;  // that did not answer, not the server
  int proxy_status = 0;   // its answer to CONNECT; 0: it was not asked for that
  int connect_error = 0;  // errno of connect(2); 0: it did not fail, or was not called
  int socket_error = 0;   // errno of socket(2)
  bool answer_began = false;
  bool headers_ended = false;
  std::chrono::milliseconds allowed{0};  // how long it might take
};

/// `to` is where the request went: the server of the options, or where it redirected to.
std::string failure_text(const Failure& failure, const HttpOptions& options, const Url& to,
                         const CertificateWatch& certificates);

/// Why what was wanted of a body is not there; empty where that is no matter of the body.
/// `coding` is its Content-Encoding.
std::string body_text(BodyReader::Problem problem, const std::string& server,
                      std::string_view coding, std::size_t content_max);

}  // namespace msp::http
