// A limit for log lines whose cause comes and goes: a problem that is there at every second tick
// would write a line each time. What lasts needs none of this: it is told when it begins.
//
// Knows no clock: times are given, of one that does not jump.
#pragma once

#include <cstdint>

namespace msp {

/// One thread.
class Throttle {
 public:
  /// Whether one more line may be written: kLinesMax in an hour.
  bool pass(std::int64_t now_ns) {
    if (lines_ == 0 || now_ns - hour_began_ns_ >= kHourNs) {
      hour_began_ns_ = now_ns;
      lines_ = 0;
    }
    if (lines_ == kLinesMax) return false;
    ++lines_;
    return true;
  }

  static constexpr int kLinesMax = 3;
  static constexpr std::int64_t kHourNs = 3'600'000'000'000;

 private:
  std::int64_t hour_began_ns_ = 0;
  int lines_ = 0;
};

}  // namespace msp
