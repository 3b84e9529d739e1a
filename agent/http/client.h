// HTTP with libcurl: one server, one connection kept alive while all goes well. Nothing is retried,
// and nothing of an answer interpreted here, but that redirects are followed as redirect.h says.
//
// Promises: a request ends by its deadline, redirects and all, and costs bounded memory whatever
// the server does. After an answer that is not 2xx, and after none, the next request looks the name
// up anew and makes a connection of its own: the server may have moved. Who the agent is (password,
// token, configured headers, client certificate) is told to the server of the options only, and
// only to one that proved who it is where the URL is https. No secret is in an error, in what is
// shown of an answer (words, moved_to), or left in memory that was freed. A certificate, key or
// secret that was replaced is in force at the next request. The environment (http_proxy, no_proxy)
// changes nothing.
//
// Does not: wipe what libcurl keeps of proxy_url, nor what the options themselves hold inline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/stop_token.h"
#include "agent/http/answer.h"
#include "agent/http/options.h"
#include "agent/http/socket_task.h"
#include "agent/http/trace.h"
#include "agent/http/url.h"

namespace msp::http {

struct HttpRequest {
  std::string method = "GET";
  std::vector<std::string> headers = {};  // "Name: value"
  std::string_view body = {};
  // How long the answer's body may be, packed and unpacked: what is longer, or not whole, is an
  // error. Then the answer may come in gzip. 0: nobody wants it.
  std::size_t content_max = 0;
  // The rest is for Transfers.
  // Measures the way: it looks the name up and connects anew, asks for no compression, and follows a
  // GET's redirects to any host and scheme.
  bool is_probe = false;
  bool only_connects = false;             // with TLS where the URL is https; nothing is sent
  bool keeps_content = true;              // false: it is read and counted only
  IpFamily preferred_ip = IpFamily::any;  // the other family where the name has none of this one
  // In the place of HTTP: the name is resolved, and the task gets the address that libcurl would try
  // first. It is the caller's again when the request has ended.
  std::shared_ptr<SocketTask> task = nullptr;
};

class Connection;

/// Used by one thread.
class HttpClient {
 public:
  /// `options` outlive the client. A request that is under way ends at the deadline of `stop`.
  explicit HttpClient(const HttpOptions& options, StopToken stop = {});
  ~HttpClient();

  /// To the URL of the options. With a `trace`, which is empty, the first request of a client tells
  /// there how it went; of redirects, the last one.
  HttpAnswer send(const HttpRequest& request, HttpTrace* trace = nullptr);

 private:
  const HttpOptions& options_;
  const Url home_;
  std::unique_ptr<Connection> connection_;
};

/// Once, before there are threads.
void init_http();

}  // namespace msp::http
