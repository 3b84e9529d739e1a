// One request to one place, with libcurl, and what came of it. Holds one connection, and at most one
// more for where a redirect leads.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "agent/base/clock.h"
#include "agent/base/result.h"
#include "agent/base/stop_token.h"
#include "agent/http/answer.h"
#include "agent/http/auth.h"
#include "agent/http/client.h"
#include "agent/http/options.h"
#include "agent/http/trace.h"
#include "agent/http/url.h"

namespace msp::http {

/// What the bodies of many answers may take together. One thread.
struct BodyBudget {
  std::size_t bytes = 0;  // of those that are arriving
  std::size_t bytes_max = 0;
  /// Answers up to this long always fit.
  static constexpr std::size_t kSmallBytes = 256 * 1024;
};

/// Used by one thread.
class Connection {
 public:
  /// Where a request goes.
  struct Place {
    Url url;
    bool is_home = true;  // the server of the options, which may see who the agent is
    IpFamily ip = IpFamily::any;
  };

  struct Deadline {
    std::int64_t at_ns;                 // monotonic clock
    std::chrono::milliseconds allowed;  // how long that was from the begin of the whole
  };

  /// `options` outlive it. `is_in_multi`: its handle is one of many in a multi handle, of which it
  /// shares nothing: what one has proved to a server is not what another may use.
  /// `clock` is what deadlines are of, and outlives it.
  Connection(const HttpOptions& options, StopToken stop, bool is_in_multi, const Clock& clock);
  ~Connection();

  /// The answer's words are the server's: our secrets may be among them.
  HttpAnswer exchange(const HttpRequest& request, const Place& place, const Login& login,
                      const Deadline& deadline, HttpTrace* trace);

  // The same in two steps, for whoever lets many connections work at once (transfers.h).

  /// Makes the request ready; it outlives the exchange, as all that is given here. An error says what is
  /// missing on this host. `budget`: may be null.
  Result<void> begin(const HttpRequest& request, const Place& place, const Login& login,
                     const Deadline& deadline, HttpTrace* trace, BodyBudget* budget);
  /// The handle (CURL) that is to be performed then. begin() may replace it.
  void* handle() const;
  /// After that: `code` is the CURLcode it ended with.
  HttpAnswer end(int code);

  /// After end(), of a request with a task: the first address of the name; none where it has none.
  const SocketAddress& address() const;

  /// Closes the connection and forgets what it has looked up: the next request begins anew.
  void start_over();

 private:
  struct Curl;

  std::unique_ptr<Curl> curl_;
};

}  // namespace msp::http
