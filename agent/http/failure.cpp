#include "agent/http/failure.h"

#include <curl/curl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

#include "agent/base/file.h"
#include "agent/base/text.h"

namespace msp::http {
namespace {

constexpr int kTooLarge = 100;  // CURLE_TOO_LARGE: out of memory's other name, from libcurl 8.6 on

/// The server, as a message calls it.
std::string server_name(const HttpOptions& options, const Url& to) {
  return options.unix_socket.empty() ? to.host_and_port() : cat("the socket ", options.unix_socket);
}

/// Of "error:0A00010B:SSL routines::wrong version number" what a person may look for.
std::string tls_words(const std::string& words) {
  const auto last = words.rfind("::");
  return last == std::string::npos ? words : words.substr(last + 2);
}

/// Why there is no answer in time. `peer` is who was connected to; `way` is what to look at where
/// there is no way to it.
std::string late_text(const Failure& failure, const std::string& server, const std::string& peer,
                      std::string_view way) {
  const auto ms = failure.allowed.count();
  const auto within =
      ms % 1000 == 0 ? cat(" within ", ms / 1000, " s") : cat(" within ", ms, " ms");
  switch (failure.reached) {
    case Reached::nothing:
      return cat("no answer from the name servers", within, " when asked for ", peer,
                 "; see whether /etc/resolv.conf names the right ones");
    case Reached::name:
    case Reached::connection:
      return cat("no connection to ", peer, within, "; a firewall may drop it", way);
    case Reached::tls:
      return cat("no TLS connection to ", server, within,
                 ": does it speak TLS there? Check scheme and port of url");
    case Reached::server:
      break;
  }
  return cat(failure.headers_ended ? "the answer does not end: " : "no answer from ", server,
             within, ": it or what stands before it is slow; look at its load, or raise timeout");
}

/// Whether this host makes sockets: errno, or 0.
int socket_error_now() {
  const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return fd ? 0 : errno;
}

/// Why this host makes no socket. Empty: it is not for want of one.
std::string no_socket_text(int error) {
  switch (error) {
    case EMFILE: {
      rlimit limit{};
      getrlimit(RLIMIT_NOFILE, &limit);
      return cat("all ", static_cast<std::uint64_t>(limit.rlim_cur),
                 " files that the agent may open are open; raise LimitNOFILE in the unit of the "
                 "service");
    }
    case ENFILE:
      return "this host has as many files open as it may; find what opens them, or raise "
             "fs.file-max";
    case ENOBUFS:
    case ENOMEM:
      return "this host has no memory left for a connection; find what takes it";
    default:
      return {};
  }
}

/// Where libcurl's code says it all.
std::string text_of_code(const Failure& failure, const HttpOptions& options, const Url& to,
                         const CertificateWatch& certificates) {
  const auto server = server_name(options, to);
  switch (failure.code) {
    case CURLE_OK:
      return cat(server, " answered before it had read the request");
    case CURLE_WRITE_ERROR:
      return cat("the headers of the answer do not end: ", server,
                 " is not what url means, or it is broken");
    case CURLE_OUT_OF_MEMORY:  // libcurl's word for a line that is longer than it takes
    case kTooLarge:
      if (!failure.answer_began) return {};
      return cat("a header line of the answer does not end: ", server,
                 " is not what url means, or it is broken");
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
      if (!failure.headers_ended) return {};
      return cat("the connection was closed in the middle of the answer by ", server);
    case CURLE_ABORTED_BY_CALLBACK:
      return "given up because the agent stops";
    case CURLE_GOT_NOTHING:
      return cat("the connection was closed without an answer by ", server);
    case CURLE_UNSUPPORTED_PROTOCOL:  // it calls that HTTP/0.9
    case CURLE_WEIRD_SERVER_REPLY:
      return cat(server, " does not answer in HTTP; if it speaks TLS, the url must begin with ",
                 "https://");
    case CURLE_PEER_FAILED_VERIFICATION:
      if (failure.words.find("subject name") == std::string::npos) return {};
      return cat("the certificate is for ", certificates.names(), " and not for ",
                 options.tls.server_name.empty() ? to.place.host : options.tls.server_name,
                 "; correct the url, or set tls.server_name to a name that it has");
    case CURLE_SSL_CERTPROBLEM:
      return cat("tls.cert_file ", options.tls.cert_file, " or tls.key_file ", options.tls.key_file,
                 " cannot be used (", tls_words(failure.words),
                 "); both must be in PEM form, unencrypted, belong together, and the agent's user ",
                 "must be able to read them");
    default:
      return {};
  }
}

}  // namespace

std::string body_text(BodyReader::Problem problem, const std::string& server,
                      std::string_view coding, std::size_t content_max) {
  switch (problem) {
    case BodyReader::Problem::too_long:
      return cat("the body is longer than ", grouped(content_max), " bytes: ", server,
                 " is not what url means, or the limit is too low");
    case BodyReader::Problem::unknown_coding:
      return cat("the body is packed in ", one_line(std::string(coding)),
                 ", which nobody asked for: ", server);
    case BodyReader::Problem::damaged:
      return cat("the body is not the gzip that it should be, or ends early: ", server);
    case BodyReader::Problem::none:
      break;
  }
  return {};
}

std::string failure_text(const Failure& failure, const HttpOptions& options, const Url& to,
                         const CertificateWatch& certificates) {
  const auto server = server_name(options, to);
  const auto proxy = parse_url(options.proxy_url);
  const auto peer = failure.is_proxy ? cat("the proxy ", proxy.host_and_port()) : server;
  const std::string_view way =
      !options.unix_socket.empty() ? "; check its path, and whether the server runs"
      : failure.is_proxy           ? "; check proxy_url"
                         : "; check host and port of url; where only a proxy leads out, set "
                           "proxy_url";
  if (!certificates.problem().empty()) return certificates.problem();
  if (failure.proxy_status >= 300) {
    return cat("the proxy ", proxy.host_and_port(), " answers HTTP ", failure.proxy_status,
               " when asked for a connection to ", server,
               failure.proxy_status == 407 ? "; its user and password belong into proxy_url" : "");
  }
  // For a question to a name server a socket is wanted as well; libcurl does not say that there was
  // none.
  const bool is_unresolved =
      failure.code == CURLE_COULDNT_RESOLVE_HOST || failure.code == CURLE_COULDNT_RESOLVE_PROXY;
  const int socket_error = is_unresolved ? socket_error_now() : failure.socket_error;
  if (const auto why = no_socket_text(socket_error); !why.empty()) {
    return cat("no connection to ", peer, ": ", why);
  }
  switch (failure.code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return cat("the host name does not resolve: ", to.place.host,
                 "; correct url, or fix this host's DNS; where only a proxy leads out, set ",
                 "proxy_url");
    case CURLE_COULDNT_RESOLVE_PROXY:
      return cat("the proxy's host name does not resolve: ", proxy.place.host,
                 "; correct proxy_url, or fix this host's DNS");
    case CURLE_COULDNT_CONNECT:
      if (failure.connect_error == 0) break;
      if (failure.connect_error == ECONNREFUSED) return cat("connection refused by ", peer, way);
      return cat(errno_text(failure.connect_error), ": ", peer, way);
    case CURLE_OPERATION_TIMEDOUT:
      return late_text(failure, server, peer, way);
    default:
      break;
  }
  auto text = text_of_code(failure, options, to, certificates);
  if (!text.empty()) return text;
  const auto advice = tls_advice(failure.words);
  return advice.empty() ? cat(server, ": ", failure.words)
                        : cat(advice, " (", tls_words(failure.words), ")");
}

}  // namespace msp::http
