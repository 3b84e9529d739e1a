// The log lines about collectors that fail and work again. A collector that fails at every second
// tick, or each time with another number in its words, writes a few lines an hour and not one per
// tick.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/log.h"
#include "agent/base/result.h"
#include "agent/base/throttle.h"

namespace msp::run {

/// One thread.
class HealthLog {
 public:
  struct Line {
    LogLevel level;
    std::string text;
  };

  /// What to log of a collector that fails with `error`, or works again (null); nothing: nothing.
  /// `now_ns` is monotonic.
  std::optional<Line> line(std::string_view collector, const Error* error, std::int64_t now_ns);

 private:
  struct Collector {
    Throttle throttle;
    bool is_told = false;  // the failure
  };
  std::map<std::string, Collector, std::less<>> collectors_;
};

}  // namespace msp::run
