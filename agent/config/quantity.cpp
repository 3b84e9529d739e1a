#include "agent/config/quantity.h"

#include <limits>

#include "agent/core/text.h"

namespace msp {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr Unit kDurations[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr Unit kSizes[] = {{"", 1},
                           {"B", 1},
                           {"KB", 1000},
                           {"MB", 1'000'000},
                           {"GB", 1'000'000'000},
                           {"KiB", 1ull << 10},
                           {"MiB", 1ull << 20},
                           {"GiB", 1ull << 30}};
constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();

/// Takes digits off the front of `text`.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  const auto digits = text.substr(0, text.find_first_not_of("0123456789"));
  text.remove_prefix(digits.size());
  return parse_number<std::uint64_t>(digits);
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  const Unit* unit = kDurations;
  while (!text.empty()) {
    const auto number = take_number(text);
    const auto name = text.substr(0, text.find_first_of("0123456789"));
    text.remove_prefix(name.size());
    while (unit != std::end(kDurations) && unit->name != name) ++unit;
    if (!number || unit == std::end(kDurations) || *number > kMax / unit->factor) {
      return std::nullopt;
    }
    total += *number * unit++->factor;
    if (total > kMax) return std::nullopt;
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(total));
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  for (const auto& unit : kSizes) {
    if (unit.name == text && *number <= kMax / unit.factor) return *number * unit.factor;
  }
  return std::nullopt;
}

}  // namespace msp
