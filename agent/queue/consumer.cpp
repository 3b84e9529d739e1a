#include "agent/queue/consumer.h"

#include <algorithm>

namespace msp::queue {

std::string_view drop_reason_name(DropReason reason) {
  constexpr std::string_view kNames[kDropReasons] = {"max_size", "max_age", "free_space",
                                                     "memory",   "damage",  "too_large"};
  return kNames[static_cast<std::size_t>(reason)];
}

bool Consumer::is_leased(const Entry& entry) const {
  return std::any_of(leased.begin(), leased.end(), [&](const Lease& lease) {
    return lease.first <= entry.last_sequence && entry.first_sequence <= lease.last;
  });
}

bool Consumer::has_had_newer(const Entry& entry) const {
  const auto newest = newest_done.find(entry.stream_name());
  return newest != newest_done.end() && entry.last_sequence <= newest->second;
}

void Consumer::forget(std::uint64_t first, std::uint64_t last, std::uint64_t samples) {
  done.add(first, last);
  state.samples -= std::min<std::size_t>(state.samples, samples);
}

std::uint64_t Consumer::drop(std::uint64_t first, std::uint64_t last, std::uint64_t samples,
                             DropReason reason) {
  for (auto& lease : leased) {
    const bool is_inside = first <= lease.first && lease.last <= last;
    if (!is_inside || done.next(lease.first) > lease.last) continue;
    lease.dropped = reason;
    samples -= std::min(samples, lease.samples);
  }
  forget(first, last, samples);
  state.dropped[static_cast<std::size_t>(reason)] += samples;
  return samples;
}

void Consumer::end_lease(const Entry& entry, bool is_delivered) {
  const auto lease = std::find_if(leased.begin(), leased.end(), [&](const Lease& other) {
    return other.first == entry.first_sequence && other.last == entry.last_sequence;
  });
  if (lease == leased.end()) return;
  if (lease->dropped) {
    state.samples -= std::min<std::size_t>(state.samples, lease->samples);
    if (!is_delivered) state.dropped[static_cast<std::size_t>(*lease->dropped)] += lease->samples;
  }
  leased.erase(lease);
}

std::uint64_t Consumer::dropped_and_leased() const {
  std::uint64_t samples = 0;
  for (const auto& lease : leased) samples += lease.dropped ? lease.samples : 0;
  return samples;
}

}  // namespace msp::queue
