// How large a request may be, before compression: the encoder's own limit until the endpoint, or a
// proxy before it, answers 413. What fits is remembered for a day: limits are configured, and
// raised when somebody notices.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "agent/delivery/encode/encode.h"

namespace msp::delivery {

class SizeLimit {
 public:
  /// Times are of the monotonic clock.
  std::size_t raw_max(std::int64_t now_ns) {
    if (raw_max_ < Encoder::kRawBytesMax && now_ns >= forget_ns_) reset();
    return raw_max_;
  }

  void too_large(std::size_t raw_bytes, std::int64_t now_ns) {
    raw_max_ = std::min(raw_max_, raw_bytes) / 2;
    forget_ns_ = now_ns + kRememberNs;
  }

  void reset() { raw_max_ = Encoder::kRawBytesMax; }

  static constexpr std::int64_t kRememberNs = 24 * 3'600'000'000'000;

 private:
  std::size_t raw_max_ = Encoder::kRawBytesMax;
  std::int64_t forget_ns_ = 0;
};

}  // namespace msp::delivery
