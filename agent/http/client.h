// POST over HTTP with libcurl: one endpoint, one connection kept alive. Nothing is retried and
// nothing of an answer interpreted here, but that redirects are followed as redirect.h says.
//
// Promises: a request ends within the endpoint's timeout, redirects and all, and costs bounded
// memory whatever the server does. Who the agent is (password, token, configured headers, client
// certificate) learns only the server of the configuration, and only one that proved who it is
// where the URL is https. No secret is in an error, in an answer, or left in memory that was freed.
// A certificate, key or secret that was replaced is in force at the next request. The environment
// (http_proxy, no_proxy) changes nothing.
//
// Does not: wipe what libcurl keeps of proxy_url, nor what the configuration itself holds inline.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "agent/http/answer.h"
#include "agent/http/trace.h"

namespace msp {

/// Used by one thread.
class HttpClient {
 public:
  /// `config` outlives the client. `give_up_at_ns` (monotonic clock; 0: not yet) ends a request
  /// that is under way at that time; it may be set from any thread.
  HttpClient(const EndpointConfig& config, const std::atomic<std::int64_t>& give_up_at_ns);
  ~HttpClient();

  /// Takes at most the endpoint's timeout. `headers` are "Name: value". With a `trace`, which is
  /// empty, the first request of a client tells there how it went; of redirects, the last one.
  HttpAnswer post(std::string_view body, const std::vector<std::string>& headers,
                  HttpTrace* trace = nullptr);

 private:
  struct Curl;

  const EndpointConfig& config_;
  std::unique_ptr<Curl> curl_;
};

/// Once, before there are threads.
void init_http();

}  // namespace msp
