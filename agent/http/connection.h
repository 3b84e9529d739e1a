// One request to one place, with libcurl, and what came of it. Holds one connection, and at most one
// more for where a redirect leads.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "agent/base/stop_token.h"
#include "agent/http/answer.h"
#include "agent/http/auth.h"
#include "agent/http/client.h"
#include "agent/http/options.h"
#include "agent/http/trace.h"
#include "agent/http/url.h"

namespace msp {

/// Used by one thread.
class Connection {
 public:
  /// Where a request goes.
  struct Place {
    Url url;
    bool is_home = true;  // the server of the options, which may see who the agent is
  };

  struct Deadline {
    std::int64_t at_ns;                 // monotonic clock
    std::chrono::milliseconds allowed;  // how long that was from the begin of the whole
  };

  /// `options` outlive it.
  Connection(const HttpOptions& options, StopToken stop);
  ~Connection();

  /// The answer's words are the server's: our secrets may be among them.
  HttpAnswer exchange(const HttpRequest& request, const Place& place, const Login& login,
                      const Deadline& deadline, HttpTrace* trace);

  /// Closes the connection and forgets what it has looked up: the next request begins anew.
  void start_over();

 private:
  struct Curl;

  std::unique_ptr<Curl> curl_;
};

}  // namespace msp
