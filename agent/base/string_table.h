// Strings by number, each once: the first one that is asked for is 0, the next other one is 1.
//
// Does not own them. Cleared and filled again it allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace msp {

class StringTable {
 public:
  void clear();

  /// The number of `text`, which outlives its place in the table.
  std::uint32_t number_of(std::string_view text);

  /// By number.
  const std::vector<std::string_view>& strings() const { return strings_; }

 private:
  std::size_t slot_of(std::string_view text) const;
  void grow();

  std::vector<std::string_view> strings_;
  std::vector<std::uint32_t> slots_;  // open addressing: a string's number + 1; 0 is free
};

}  // namespace msp
