#include "agent/config/quantity.h"

#include <algorithm>

#include "agent/base/text.h"

namespace msp::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::uint64_t kDayMs = 86'400'000;
constexpr Unit kDurationUnits[] = {
    {"d", kDayMs}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr Unit kSizeUnits[] = {
    {"TiB", 1ull << 40},
    {"GiB", 1ull << 30},
    {"MiB", 1ull << 20},
    {"KiB", 1ull << 10},
    {"B", 1},
    {"kB", 1'000},
    {"KB", 1'000},
    {"MB", 1'000'000},
    {"GB", 1'000'000'000},
    {"TB", 1'000'000'000'000},
};

/// Takes a whole number off the front of `rest`.
std::optional<std::uint64_t> next_number(std::string_view& rest) {
  const auto end = std::min(rest.find_first_not_of("0123456789"), rest.size());
  const auto number = parse_number<std::uint64_t>(rest.substr(0, end));
  rest.remove_prefix(end);
  return number;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t kMaxMs = 36'525 * kDayMs;
  std::uint64_t total = 0;
  const Unit* smaller = std::begin(kDurationUnits);  // what may still come
  do {
    const auto number = next_number(text);
    if (!number) return std::nullopt;
    const auto name = text.substr(0, text.find_first_of("0123456789"));
    smaller = std::find_if(smaller, std::end(kDurationUnits),
                           [&](const Unit& unit) { return unit.name == name; });
    if (smaller == std::end(kDurationUnits) || *number > kMaxMs / smaller->factor)
      return std::nullopt;
    total += *number * smaller->factor;
    if (total > kMaxMs) return std::nullopt;
    text.remove_prefix(name.size());
    ++smaller;
  } while (!text.empty());
  return std::chrono::milliseconds(total);
}

std::string duration_words(std::chrono::milliseconds duration) {
  auto ms = static_cast<std::uint64_t>(duration.count());
  std::string words;
  for (const auto& unit : kDurationUnits) {
    if (ms < unit.factor) continue;
    words += cat(ms / unit.factor, unit.name);
    ms %= unit.factor;
  }
  return words.empty() ? "0s" : words;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  if (text == "0") return 0;
  const auto number = next_number(text);
  if (!number) return std::nullopt;
  for (const auto& unit : kSizeUnits) {
    if (text != unit.name) continue;
    if (*number > UINT64_MAX / unit.factor) return std::nullopt;
    return *number * unit.factor;
  }
  return std::nullopt;
}

std::string size_words(std::uint64_t bytes) {
  if (bytes == 0) return "0";
  const auto* unit = std::begin(kSizeUnits);
  while (bytes % unit->factor != 0) ++unit;
  return cat(bytes / unit->factor, unit->name);
}

}  // namespace msp::config
