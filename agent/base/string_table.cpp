#include "agent/base/string_table.h"

#include <algorithm>
#include <functional>

namespace msp {

constexpr std::size_t kSlotsMin = 64;  // a power of two, as all sizes

void StringTable::clear() {
  strings_.clear();
  std::fill(slots_.begin(), slots_.end(), 0);
}

std::uint32_t StringTable::number_of(std::string_view text) {
  if (slots_.size() < 2 * (strings_.size() + 1)) grow();
  auto& slot = slots_[slot_of(text)];
  if (slot == 0) {
    strings_.push_back(text);
    slot = static_cast<std::uint32_t>(strings_.size());
  }
  return slot - 1;
}

/// Its own, or the free one that it would get.
std::size_t StringTable::slot_of(std::string_view text) const {
  const auto mask = slots_.size() - 1;
  auto slot = std::hash<std::string_view>()(text) & mask;
  while (slots_[slot] != 0 && strings_[slots_[slot] - 1] != text) slot = (slot + 1) & mask;
  return slot;
}

void StringTable::grow() {
  slots_.assign(std::max(kSlotsMin, 2 * slots_.size()), 0);
  for (std::uint32_t i = 0; i < strings_.size(); ++i) slots_[slot_of(strings_[i])] = i + 1;
}

}  // namespace msp
