#include "agent/sources/schedule.h"

namespace msp::sources {
namespace {

/// FNV-1a (RFC draft-eastlake-fnv): the same phase for the same host after every start, on every
/// build.
std::uint64_t hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash ^ hash >> 32;
}

}  // namespace

Schedule::Schedule(std::chrono::nanoseconds interval, std::string_view identity,
                   std::int64_t wall_ns, std::int64_t steady_ns)
    : interval_ns_(interval.count()), due_ns_(steady_ns) {
  const auto phase_ns = static_cast<std::int64_t>(hash(identity) % interval_ns_);
  grid_ns_ = steady_ns - (wall_ns - phase_ns) % interval_ns_;
}

std::uint64_t Schedule::tick(std::int64_t steady_ns) {
  const auto missed = (steady_ns - due_ns_) / interval_ns_;
  due_ns_ = grid_ns_ + ((steady_ns - grid_ns_) / interval_ns_ + 1) * interval_ns_;
  return static_cast<std::uint64_t>(missed);
}

}  // namespace msp::sources
