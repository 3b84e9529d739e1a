// What the running agent does, as a file that `msp-agent status` reads: no port is open for it.
//
// status.json is beside the head's file: in $RUNTIME_DIRECTORY, which is memory, or else in
// buffer.path, on a disk. It is written once a minute, when an endpoint is in another state (on a
// disk, not before the minute is over), and when kStatusSignal asks for it. It is replaced as a whole, for
// its owner and group only (0640), and holds no secret. It stays when the agent ends: a
// reader looks for the process that it names.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/json.h"
#include "agent/config/config.h"
#include "agent/queue/queue.h"
#include "agent/run/outage.h"
#include "agent/run/service.h"
#include "agent/sources/host.h"

namespace msp::run {

inline constexpr const char* kStatusFileName = "status.json";

/// What the agent answers itself.
struct ListenReport {
  std::string address;
  bool is_listening = false;
  bool is_open = false;   // to everybody who reaches it
  bool receives = false;  // remote write
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;
  std::uint64_t refused = 0;
  std::int64_t not_after_s = 0;  // of the certificate; 0: none
  std::int64_t loop_ms = 0;      // when something came that this relay had sent; 0: never

  struct Client {
    std::string name;               // empty: everybody
    std::int64_t last_seen_ms = 0;  // 0: never
    std::uint64_t samples = 0;
    std::uint64_t samples_skipped = 0;
    std::uint64_t refused = 0;  // requests
  };
  std::vector<Client> clients = {};  // of those that send
};

/// What is told beside what the file knows by itself.
struct StatusReport {
  const config::Config& config;
  ServiceReport service;
  queue::Queue::State buffer;
  std::vector<sources::HostSource::Outcome> collectors;
  std::vector<const sources::Source*> sources = {};
  std::optional<ListenReport> listen = {};
  std::size_t samples_per_tick = 0;
  std::uint64_t ticks_skipped = 0;
  std::uint64_t timestamps_moved = 0;
  std::optional<double> resident_bytes = {};
  std::optional<DiskSpace> disk = {};  // of the buffer; nothing: not known
  bool stopped = false;                // in an orderly way: the last report
};

/// Where an endpoint's backlog goes, from what was seen of it in the last minute.
class Trend {
 public:
  void add(std::int64_t now_ns, std::uint64_t waiting, std::uint64_t lost);

  /// Until nothing waits, at the present rate; nothing where it does not get less.
  std::optional<double> seconds_to_drain() const;
  /// Samples dropped or rejected.
  std::uint64_t lost_lately() const { return points_.back().lost - points_.front().lost; }

 private:
  struct Point {
    std::int64_t at_ns;
    std::uint64_t waiting;
    std::uint64_t lost;
  };
  std::deque<Point> points_;
};

/// Main thread only. Moments are on CLOCK_BOOTTIME.
class StatusFile {
 public:
  explicit StatusFile(const config::BufferConfig& buffer);

  /// When write() wants to be called.
  std::int64_t due_ns() const { return due_ns_; }

  /// A scrape is in the buffer: the first one is told.
  void ticked(std::int64_t now_ns);

  /// An endpoint is in another state.
  void changed(std::int64_t now_ns);

  /// Somebody wants to know.
  void asked(std::int64_t now_ns) { due_ns_ = now_ns; }

  /// Tells the log when it cannot, once.
  void write(std::int64_t now_ns, const StatusReport& report);

 private:
  std::string json(std::int64_t now_ns, const StatusReport& report);
  void add_endpoint(std::int64_t now_ns, const EndpointReport& endpoint, msp::JsonWriter& out);

  std::string folder_;
  bool is_on_disk_;
  std::int64_t due_ns_ = INT64_MAX;
  std::int64_t not_before_ns_ = 0;
  std::int64_t started_ms_;
  std::uint64_t start_ticks_;
  std::map<std::string, Trend> trends_;  // by the endpoint's name
  std::string told_error_;
};

std::string_view endpoint_state_name(delivery::EndpointState state);

}  // namespace msp::run
