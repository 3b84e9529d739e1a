// What the service manager is told, and when. `systemctl start` succeeds when the first scrape is
// in the buffer: no network at boot must not fail a start. `systemctl status` shows one line on
// each endpoint. The watchdog is told that the agent lives as long as it makes progress that a
// restart would bring back if it stopped:
//
//   the main thread gets around its loop: it is the one that reports, between two ticks as well;
//   no request lasts far longer than its time-out allows.
//
// A disk that hangs does not count, nor a thread that waits for one: a restarted agent would hang
// at the same place, and lose what the running one still keeps in memory. An endpoint that does not
// answer does not count either.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/delivery/stats.h"
#include "agent/queue/queue.h"
#include "agent/run/systemd.h"

namespace msp::run {

/// An endpoint as people are told of it: no text holds a secret of the configuration.
struct EndpointReport {
  std::string name;
  std::size_t waiting = 0;  // samples
  delivery::EndpointState state = delivery::EndpointState::starting;
  std::string error = {};             // the last one
  std::int64_t last_success_ms = 0;   // wall clock; 0: never
  std::int64_t timeout_ns = 0;        // of a request
  std::int64_t request_since_ns = 0;  // monotonic; 0: none is under way

  // What the status file says beside that.
  bool removed = false;  // from the configuration
  std::string protocol = {};
  std::string clock_problem = {};
  std::string answer_problem = {};
  std::int64_t oldest_ms = 0;  // timestamp of the oldest sample that waits; 0: none does
  std::uint64_t sent = 0;      // samples
  std::uint64_t rejected = 0;  // samples
  std::array<std::uint64_t, queue::kDropReasons> dropped = {};  // samples, by DropReason
  std::uint64_t requests = 0;
  std::uint64_t retries = 0;

  /// "delivering to https://..., 0 behind", or what is wrong.
  std::string sentence(std::int64_t now_ms) const;
};

struct ServiceReport {
  std::vector<EndpointReport> endpoints;
  bool memory_only = false;       // the buffer's disk cannot be used
  bool free_space_guard = false;  // or is nearly full

  /// A part for each endpoint, and what is wrong with the disk.
  std::string status(std::int64_t now_ms) const;

  /// What has stopped and would run again after a restart, as a sentence; empty: nothing. `now_ns`
  /// is monotonic.
  std::string stuck(std::int64_t now_ns) const;
};

ServiceReport make_report(const delivery::AgentStats& stats, const queue::Queue& queue);

/// Main thread only. Moments are on any clock that does not jump, always the same.
class Service {
 public:
  explicit Service(Notify notify) : notify_(std::move(notify)) {}

  /// When report() wants to be called.
  std::int64_t due_ns() const { return due_ns_; }

  /// A scrape is in the buffer: the agent is up.
  void ticked(std::int64_t now_ns);

  /// An endpoint is in another state.
  void changed(std::int64_t now_ns);

  /// Says what has changed, and that the agent lives.
  void report(std::int64_t now_ns, const ServiceReport& report);

  /// Around reading the configuration again, whatever came of it.
  void reloading();
  void reloaded();

  void stopping(std::string status);

 private:
  Notify notify_;
  bool told_up_ = false;
  std::string told_status_;
  bool told_stuck_ = false;
  std::int64_t due_ns_ = INT64_MAX;
};

}  // namespace msp::run
