// A small HTTP/1.1 server for the few paths that the agent answers: one thread, no matter how many
// connections. It is made only where `listen` is configured.
//
// Promised, whatever clients do:
//   - a request whose head is not there 10 s after its first byte, or whose body not after 30 s or
//     slower than 4 KiB/s, ends; an answer that is not taken within 30 s ends; a connection without a
//     request ends after 120 s, which is longer than the 90 s of Go's clients;
//   - no more than Setup::connections_max connections; above that, idle ones give way, and the others
//     wait to be accepted. Of those that have shown no login, kPerAddressMax from one address (of IPv6
//     from one /64): many senders behind one NAT have one address;
//   - no body is read before the handler has looked at the head, and none that is too long; those that
//     are read at the same time have kBodiesBytesMax together, and beside these there is one of more than
//     kLargeBytes, or of unknown length: others are told 503;
//   - a connection that is idle costs its descriptor and little memory;
//   - after an error the connection ends, so that no byte of a refused request is read as another one.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/result.h"
#include "agent/base/thread.h"
#include "agent/base/wakeup.h"
#include "agent/http/tls/server.h"
#include "agent/listen/address.h"
#include "agent/listen/request.h"

namespace msp::listen {

class Server;

/// Which request an answer is for. An answer to one that is no longer waited for is dropped.
struct ReplyTo {
  std::uint64_t connection = 0;
  std::uint64_t request = 0;
};

/// What answers the requests. The server's thread only.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;

  /// The head is there. An answer refuses the request before its body is read; else `body_bytes_max`
  /// says how long that may be.
  virtual std::optional<HttpReply> refuse(HttpRequestHead& head, std::size_t& body_bytes_max) = 0;
  /// The server itself has refused what refuse() let pass: its body is too long (413) or damaged (400);
  /// it comes too slowly, or there is no room for it now (503).
  virtual void on_refused(const HttpRequestHead&, int /*status*/) {}

  /// All of the request is there. It is answered by Server::reply(), now or later.
  virtual void handle(const HttpRequestHead& head, std::string& body, ReplyTo to,
                      Server& server) = 0;

  /// The server's wakeup was used, or `due_ns()` has come.
  virtual void work(Server&) {}
  /// On the monotonic clock.
  virtual std::int64_t due_ns() const { return kNeverNs; }
};

/// Written by the server's thread, read by any.
struct ServerStats {
  std::atomic<bool> is_listening = false;
  std::atomic<std::uint64_t> connections = 0;  // at present
  std::atomic<std::uint64_t> requests = 0;     // that were answered
  std::atomic<std::uint64_t> refused = 0;      // of these, with 400 and above
  std::atomic<std::int64_t> not_after_s = 0;   // of the certificate; 0: none
};

class Server {
 public:
  static constexpr std::size_t kConnectionsMax = 256;  // where Setup says nothing else
  static constexpr std::size_t kPerAddressMax = 32;
  static constexpr std::size_t kBodiesBytesMax = std::size_t{4} << 20;
  static constexpr std::size_t kLargeBytes = std::size_t{1} << 20;
  static constexpr std::int64_t kHeadNs = 10 * kNsPerSecond;
  static constexpr std::int64_t kBodyNs = 30 * kNsPerSecond;
  static constexpr std::int64_t kAnswerNs = 30 * kNsPerSecond;
  static constexpr std::int64_t kIdleNs = 120 * kNsPerSecond;
  // Of a body, looked at once kGraceNs are over.
  static constexpr std::int64_t kBytesPerSecondMin = 4096;
  static constexpr std::int64_t kGraceNs = 5 * kNsPerSecond;

  struct Setup {
    ListenAddress address;
    http::TlsOptions tls = {};  // without a cert_file: none
    std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
    std::size_t connections_max = kConnectionsMax;
    Clock* clock = &real_clock();
    std::shared_ptr<ServerStats> stats = std::make_shared<ServerStats>();
  };

  /// `handler` outlives the server.
  Server(Setup setup, RequestHandler& handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens. Until it has succeeded, step() tries again from time to time.
  Result<void> listen();
  bool is_listening() const;

  /// Whatever is to be done now, after waiting for something at most until `until_ns` (monotonic).
  void step(std::int64_t until_ns);

  void reply(ReplyTo to, HttpReply reply);

  std::size_t connections() const;
  /// Woken when somebody else wants step() to return.
  const std::shared_ptr<const Wakeup>& wakeup() const { return setup_.wakeup; }
  Clock& clock() const { return *setup_.clock; }

 private:
  class Connection;

  /// That are being read, by what they have announced.
  struct Bodies {
    std::uint64_t bytes = 0;  // of those that are not large
    std::size_t large = 0;
  };

  void load_tls();
  void accept(std::int64_t now_ns);
  bool make_room();
  void read(Connection& one, std::uint32_t happened, std::int64_t now_ns);
  void look_at_all(std::int64_t now_ns);
  void note_due(const Connection& connection);
  bool open_epoll();
  void watch(Connection& connection);
  void set_events(Connection& connection, std::uint32_t wanted);
  void watch_listener(bool accepts);
  void serve(Connection& connection, std::int64_t now_ns);

  const Setup setup_;
  RequestHandler& handler_;
  std::unique_ptr<http::TlsServer> tls_;  // null: none
  Fd listener_;
  Fd epoll_;              // has all connections, the wakeup (as null), and the listener (as
  bool accepts_ = false;  // `this`) where this says so
  Bodies bodies_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by id
  std::vector<Connection*> touched_;        // something happened there since the last step
  std::int64_t look_at_all_ns_ = kNeverNs;  // no connection is due before
  std::uint64_t next_connection_ = 1;
  std::int64_t listen_again_ns_ = 0;
  std::int64_t accept_again_ns_ = 0;  // there were no descriptors left
};

}  // namespace msp::listen
