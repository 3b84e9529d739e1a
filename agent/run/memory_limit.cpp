#include "agent/run/memory_limit.h"

#include <algorithm>

#include "agent/base/file.h"
#include "agent/base/text.h"

namespace msp::run {
namespace {

constexpr std::size_t kFileBytesMax = 64 * 1024;
constexpr std::size_t kSeriesMin = 1'000;

/// "max" is none. Of v1, where a number stands in its place, every machine has less.
std::optional<std::uint64_t> limit_in(const std::string& path) {
  const auto text = read_file(path, kFileBytesMax);
  if (!text) return std::nullopt;
  constexpr std::uint64_t kNone = 1ULL << 60;
  const auto bytes = parse_number<std::uint64_t>(trim(*text));
  return bytes && *bytes < kNone ? std::optional(*bytes) : std::nullopt;
}

void lower(std::optional<std::uint64_t>& limit, std::optional<std::uint64_t> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

/// `name` in the group's folder and all above it. In a container the path may be of a tree that is
/// not mounted there; the root is.
std::optional<std::uint64_t> smallest(const std::string& root, std::string_view group,
                                      const char* name) {
  std::optional<std::uint64_t> limit;
  while (!group.empty() && group != "/") {
    lower(limit, limit_in(cat(root, group, "/", name)));
    group = group.substr(0, group.rfind('/'));
  }
  lower(limit, limit_in(cat(root, "/", name)));
  return limit;
}

bool has_memory(std::string_view controllers) {
  while (!controllers.empty()) {
    const auto comma = controllers.find(',');
    if (controllers.substr(0, comma) == "memory") return true;
    controllers.remove_prefix(comma == std::string_view::npos ? controllers.size() : comma + 1);
  }
  return false;
}

}  // namespace

std::optional<std::uint64_t> memory_limit(const std::string& procfs, const std::string& cgroups) {
  const auto table = read_file(cat(procfs, "/self/cgroup"), kFileBytesMax);
  if (!table) return std::nullopt;
  std::optional<std::uint64_t> limit;
  // hierarchy:controllers:path (cgroups(7)); of v2 "0::/system.slice/msp-agent.service"
  for (std::string_view rest = *table; const auto line = next_line(rest);) {
    const auto first = line->find(':');
    const auto second = first == line->npos ? line->npos : line->find(':', first + 1);
    if (second == line->npos) continue;
    const auto controllers = line->substr(first + 1, second - first - 1);
    const auto group = line->substr(second + 1);
    if (controllers.empty()) lower(limit, smallest(cgroups, group, "memory.max"));
    if (has_memory(controllers)) {
      lower(limit, smallest(cat(cgroups, "/memory"), group, "memory.limit_in_bytes"));
    }
  }
  return limit;
}

std::size_t series_that_fit(std::uint64_t memory_bytes) {
  const auto room = memory_bytes - std::min(memory_bytes, kAgentBytes);
  return std::max(kSeriesMin, static_cast<std::size_t>(room / kBytesPerSeries));
}

SeriesLimit series_limit(std::size_t wanted, std::optional<std::uint64_t> limit) {
  if (!limit || series_that_fit(*limit) >= wanted) return {wanted};
  const auto fit = series_that_fit(*limit);
  return {fit, cat("the memory limit of the agent's control group, ", *limit >> 20,
                   " MiB, has room for ", grouped(fit), " series: that is the limit instead of ",
                   "series_max: ", wanted, "; raise it with MemoryMax=",
                   (kAgentBytes + wanted * kBytesPerSeries + (1 << 20) - 1) >> 20,
                   "M (systemctl edit msp-agent), or lower series_max")};
}

}  // namespace msp::run
