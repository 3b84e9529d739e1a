// How much memory the kernel lets the agent have, and how many series fit into it: a unit with
// MemoryMax= kills an agent that needs more, at every start again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace msp::run {

/// The smallest limit of this process's control group and of those above it (memory.max of cgroups
/// v2, memory.limit_in_bytes of v1); nothing where there is none, or the kernel does not say.
std::optional<std::uint64_t> memory_limit(const std::string& procfs = "/proc",
                                          const std::string& cgroups = "/sys/fs/cgroup");

/// What an agent without series needs at its worst, and what each series adds while series change,
/// an endpoint is down and a backlog is sent (tests/bench/series_memory.py).
inline constexpr std::uint64_t kAgentBytes = 12 << 20;
inline constexpr std::uint64_t kBytesPerSeries = 2'000;

/// At least 1,000: with fewer the agent says nothing of use, and the limit is not what it fails on.
std::size_t series_that_fit(std::uint64_t memory_bytes);

struct SeriesLimit {
  std::size_t series_max = 0;
  std::string warning = {};  // what is wrong and what to do; empty: the wanted limit holds
};

/// `wanted` is what the configuration says, `limit` what memory_limit() does.
SeriesLimit series_limit(std::size_t wanted, std::optional<std::uint64_t> limit);

}  // namespace msp::run
