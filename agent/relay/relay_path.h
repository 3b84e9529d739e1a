// How relays notice that they send to one another in a circle: each request of a relay names, in a
// header, the relay and those whose requests it has lately received. A relay that is named in what it
// receives would get its own samples back for ever.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/clock.h"

namespace msp::relay {

/// Any thread.
class RelayPath {
 public:
  static constexpr std::string_view kHeader = "x-msp-agent-via";
  static constexpr std::size_t kIdsMax = 64;
  static constexpr std::int64_t kRememberedNs = 600 * kNsPerSecond;

  /// `id` is of this process alone.
  explicit RelayPath(std::string id = random_id()) : id_(std::move(id)) {}

  /// A request with this header has come. False: it has been here before.
  bool note(std::string_view header, std::int64_t now_ns);

  /// "X-Msp-Agent-Via: ..", for what is sent.
  std::string header_line(std::int64_t now_ns) const;

  static std::string random_id();

 private:
  const std::string id_;
  mutable std::mutex mutex_;
  std::map<std::string, std::int64_t, std::less<>> seen_;  // by id: when, last
};

}  // namespace msp::relay
