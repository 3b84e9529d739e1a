// The counters of one line of a /proc table, by column, decimal or hexadecimal:
//   94304459 2269 0 x 0 0
// A column that holds no count (garbled, negative, beyond 2^64) costs that column.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/base/text.h"

namespace msp::collectors {

template <std::size_t kColumns>
struct CountersLine {
  std::array<std::uint64_t, kColumns> values;
  std::bitset<kColumns> is_good;
  std::size_t found = 0;  // columns that are there; more than kColumns are passed over

  /// `on_garbled(column, word)` is called for each column that is there and is no count.
  template <typename OnGarbled>
  CountersLine(std::string_view text, const OnGarbled& on_garbled, int base = 10) {
    for (; found != kColumns; ++found) {
      const auto word = next_word(text);
      if (word.empty()) break;
      const auto value = parse_number<std::uint64_t>(word, base);
      if (value) {
        values[found] = *value;
        is_good.set(found);
      } else {
        on_garbled(found, word);
      }
    }
  }

  /// A line that ends before its column `least`, and not because what follows is garbled, is of
  /// another layout: what its columns count is not known.
  bool is_short(std::size_t least) const {
    return found < least && (found == 0 || is_good[found - 1]);
  }
};

/// For a line of which it is known only afterwards which of its garbled columns are missed.
inline constexpr auto kGarbledLater = [](std::size_t, std::string_view) {};

inline std::size_t words_in(std::string_view text) {
  std::size_t words = 0;
  while (!next_word(text).empty()) ++words;
  return words;
}

inline std::string_view word_at(std::string_view text, std::size_t column) {
  while (column-- > 0) next_word(text);
  return next_word(text);
}

}  // namespace msp::collectors
