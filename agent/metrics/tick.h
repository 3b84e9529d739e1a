// One tick of a source.
#pragma once

#include <cstdint>

namespace msp::metrics {

struct Tick {
  std::uint64_t number = 0;  // counts from 1, for KeptFile::read(tick)
  std::int64_t wall_ns = 0;  // the timestamp of this tick's samples, nanoseconds since 1970
};

}  // namespace msp::metrics
