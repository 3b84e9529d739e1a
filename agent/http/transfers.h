// Requests to many servers at once, on one thread, with libcurl's multi interface.
//
// Promised, beside what client.h promises for each: a server that hangs, or sends without end, holds
// up no other and ends at its deadline; the answers that arrive together take a bounded amount of
// memory, and the one that would exceed it fails. There is no thread before the first request, and it
// sleeps while there is none.
//
// A Peer is a server with its options. It keeps its connection from one request to the next, and has
// one request at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/base/clock.h"
#include "agent/base/result.h"
#include "agent/base/wakeup.h"
#include "agent/http/answer.h"
#include "agent/http/client.h"
#include "agent/http/options.h"
#include "agent/http/trace.h"

namespace msp::http {

/// One thread uses it and its peers.
class Transfers {
 public:
  struct Setup {
    std::shared_ptr<const Wakeup> wakeup;  // woken when a request has ended
    /// Called in the thread of the requests when an exception ends it.
    std::function<void(const std::string& reason)> on_thread_failure = [](const std::string&) {};
    std::size_t bodies_bytes_max = kBodiesBytesMax;
    /// What deadlines are of; outlives it. Of a clock that a test moves, they are seen when the thread is
    /// woken.
    const Clock& clock = real_clock();
  };

  struct Outcome {
    HttpAnswer answer;
    HttpTrace trace;
  };

  class Peer;

  explicit Transfers(Setup setup);
  /// Ends what is under way. A thread that does not end within a second is let go of.
  ~Transfers();
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  /// Usable as long as it lives, also after this object is gone: then every request fails.
  std::unique_ptr<Peer> peer(HttpOptions options);

  /// With the unit's MemoryMax=64M in mind: a text that grows takes its size three times.
  static constexpr std::size_t kBodiesBytesMax = 24 << 20;

 private:
  friend class Peer;
  struct Exchange;
  struct Shared;

  std::shared_ptr<Shared> shared_;
};

class Transfers::Peer {
 public:
  explicit Peer(Transfers& transfers, HttpOptions options);
  /// Ends the request that is under way.
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// Begins a request, with `body` as its body; it ends after the timeout of the options at the latest.
  /// What is under way, or was not taken, is given up.
  Result<void> start(HttpRequest request, std::string body = {});

  bool is_running() const;

  /// What came of the request, once; nothing while it is under way.
  std::optional<Outcome> take();

  const HttpOptions& options() const;

 private:
  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<const HttpOptions> options_;
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace msp::http
