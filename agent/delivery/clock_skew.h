// How far this host's clock is from a server's, by the Date of its answers, and what to do about
// it. Samples carry this host's time: of a clock that is far off, receivers drop them without a
// word, or show them where nobody looks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace msp::delivery {

inline constexpr std::int64_t kSkewSecondsMax = 60;

/// Whether something (NTP) keeps the clock right; nothing where the kernel does not say.
std::optional<bool> is_clock_kept();

/// "this host's clock is 1 d 0 h ahead of the server's; .." and which of the two to correct; empty:
/// they agree. Both are seconds since 1970. A clock that shows a time before kEarliestSeconds is the
/// wrong one, whatever keeps the other.
std::string skew_text(std::int64_t host_s, std::int64_t server_s, std::optional<bool> is_kept);

inline constexpr std::int64_t kEarliestSeconds = 1'735'689'600;  // 2025: before there was an agent

}  // namespace msp::delivery
