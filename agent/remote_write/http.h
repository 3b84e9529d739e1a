// POST over HTTP with libcurl: one endpoint, one connection kept alive. Nothing is retried and
// nothing interpreted here; a redirect is an answer like any other, so that credentials never
// follow it to another host.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"

namespace msp {

struct HttpAnswer {
  int status = 0;     // 0: there was no answer, and error says why
  std::string body;   // the first kBodyMax bytes, on one line
  std::string error;  // "connection refused"

  std::chrono::seconds retry_after{0};
  bool written_header = false;
  std::string moved_to;

  static constexpr std::size_t kBodyMax = 512;
};

/// Used by one thread.
class HttpClient {
 public:
  /// `config` outlives the client. `give_up_at_ns` (monotonic clock; 0: not yet) ends a request
  /// that is under way at that time; it may be set from any thread.
  HttpClient(const EndpointConfig& config, const std::atomic<std::int64_t>& give_up_at_ns);
  ~HttpClient();

  /// Takes at most the endpoint's timeout. `headers` are "Name: value".
  HttpAnswer post(std::string_view body, const std::vector<std::string>& headers);

 private:
  struct Curl;

  const EndpointConfig& config_;
  const std::atomic<std::int64_t>& give_up_at_ns_;
  std::unique_ptr<Curl> curl_;
};

/// Once, before there are threads.
void init_http();

}  // namespace msp
