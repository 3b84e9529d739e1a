// The server that a client talks to, and how: plain data, which whoever fills it has validated.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace msp::http {

/// Absolute paths; empty: the system's certificates, no client certificate, the URL's host name.
struct TlsOptions {
  std::string ca_file;
  std::string cert_file;  // both or none
  std::string key_file;
  std::string server_name;
  bool insecure_skip_verify = false;
  friend bool operator==(const TlsOptions&, const TlsOptions&) = default;
};

/// Which addresses of a name are used.
enum class IpFamily { any, ip4, ip6 };

struct HttpOptions {
  std::string url;          // http or https, host, no user:password
  std::string unix_socket;  // absolute path: all goes there, whatever host is in url; never a proxy
  std::string username;
  std::string password;  // at most one of the two
  std::string password_file;
  std::string bearer_token;  // at most one of the two
  std::string bearer_token_file;
  std::map<std::string, std::string> headers;  // values may be secrets
  TlsOptions tls;
  std::string proxy_url;  // empty: none; may hold user:password, so never show it
  std::string no_proxy;   // what goes past it: "internal.example,10.0.0.0/8"; "*": everything
  std::chrono::milliseconds timeout{10'000};
  bool follow_redirects = true;  // as redirect.h says
  std::string user_agent;        // empty: the header is left to each request
  friend bool operator==(const HttpOptions&, const HttpOptions&) = default;
};

}  // namespace msp::http
