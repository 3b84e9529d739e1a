// What the queue may use, when it does its work, and why samples were dropped.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace msp::queue {

/// Why samples were dropped before a consumer had them.
enum class DropReason : std::uint8_t { max_size, max_age, free_space, memory, damage, too_large };
inline constexpr std::size_t kDropReasons = 6;
std::string_view drop_reason_name(DropReason reason);

struct QueueLimits {
  std::uint64_t bytes_max = 256 << 20;                       // of the segments
  std::chrono::milliseconds age_max = std::chrono::days(7);  // of a segment's newest entry
  // The segments leave at least as much of their file system free: this, or 5 % of it where that is
  // less.
  std::uint64_t free_bytes_min = 512 << 20;
};

struct QueueTiming {
  std::int64_t spill_after_ns = 5'000'000'000;  // how long an entry may wait in memory only
  std::int64_t send_every_ns = 0;          // and as much longer as consumers take entries together
  std::int64_t rest_ns = 2'000'000'000;    // between two rounds of the spiller
  std::int64_t retry_ns = 10'000'000'000;  // until what failed on a disk is tried again
};

}  // namespace msp::queue
