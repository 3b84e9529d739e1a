#include "agent/queue/consumer.h"

#include <algorithm>

namespace msp {

std::string_view drop_reason_name(DropReason reason) {
  constexpr std::string_view kNames[kDropReasons] = {"max_size", "max_age", "free_space",
                                                     "memory",   "damage",  "too_large"};
  return kNames[static_cast<std::size_t>(reason)];
}

bool Consumer::is_leased(const Entry& entry) const {
  return std::any_of(leased.begin(), leased.end(), [&](const auto& range) {
    return range.first <= entry.last_sequence && entry.first_sequence <= range.second;
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

void Consumer::drop(std::uint64_t first, std::uint64_t last, std::uint64_t samples,
                    DropReason reason) {
  forget(first, last, samples);
  state.dropped[static_cast<std::size_t>(reason)] += samples;
}

}  // namespace msp
