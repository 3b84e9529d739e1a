// Which of the wire formats an endpoint gets. Two of the configured protocols have a second choice,
// which counts only once the endpoint has accepted it: `auto` begins with zstd, the smallest, and
// falls back to snappy, which every receiver understands; `prometheus-2.0` falls back to 1.0. A
// fall-back is for a day: servers are upgraded.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/config/config.h"
#include "agent/delivery/encode/encode.h"

namespace msp::delivery {

/// As the configuration calls it; a literal.
const char* wire_name(Wire wire);

class ProtocolChoice {
 public:
  explicit ProtocolChoice(config::Protocol configured);

  /// For the next request; times are of the monotonic clock.
  Wire wire(std::int64_t now_ns) const;

  /// What else may be tried where `refused` was not understood.
  std::optional<Wire> other_than(Wire refused) const;

  /// The endpoint took a request in `wire`. True when that is not the one it took before: worth
  /// telling.
  bool accepted(Wire wire, std::int64_t now_ns);

  /// What the endpoint accepted last; before that, what it will be tried with.
  Wire in_use() const { return in_use_; }

  static constexpr std::int64_t kFallBackNs = 24 * 3'600'000'000'000;

 private:
  Wire first_choice_;
  std::optional<Wire> second_choice_;
  Wire in_use_;
  std::int64_t fall_back_until_ns_ = 0;
};

}  // namespace msp::delivery
