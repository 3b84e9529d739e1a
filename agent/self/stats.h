// Counters of what the agent did, for its own metrics. Written by the thread that does it, read by
// any.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>

namespace msp {

struct EndpointStats {
  explicit EndpointStats(std::string endpoint_name) : name(std::move(endpoint_name)) {}

  const std::string name;                           // the URL without query, as it is safe to show
  std::atomic<std::uint64_t> samples_sent = 0;      // answered with 2xx
  std::atomic<std::uint64_t> samples_rejected = 0;  // refused for good, dropped
  std::atomic<std::uint64_t> bytes_sent = 0;        // bodies, whatever the answer was
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<std::uint64_t> retries = 0;  // requests that will be sent again
};

struct AgentStats {
  std::atomic<std::uint64_t> ticks_skipped = 0;
  std::deque<EndpointStats> endpoints;  // fixed before threads start
};

}  // namespace msp
