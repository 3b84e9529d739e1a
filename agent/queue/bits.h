// Bits in bytes, low ones first. They are written forwards and, once the bytes were reversed, read
// backwards from the end: so that they share a payload with bytes that are read from its beginning.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace msp::queue {

/// Appends bits, low ones first. Writes up to 8 bytes beyond what flush() returns.
class BitWriter {
 public:
  explicit BitWriter(char* at) : at_(at) {}

  /// `count` is at most 56.
  void put(std::uint64_t bits, unsigned count) {
    bits_ |= bits << count_;
    count_ += count;
    std::memcpy(at_, &bits_, sizeof bits_);
    at_ += count_ / 8;
    bits_ >>= count_ & ~7u;
    count_ &= 7;
  }

  char* flush() { return count_ > 0 ? at_ + 1 : at_; }

 private:
  char* at_;
  std::uint64_t bits_ = 0;
  unsigned count_ = 0;  // in bits_, fewer than 8
};

/// Takes bits from the end of bytes backwards; what is before their begin reads as 0.
class BitReader {
 public:
  explicit BitReader(std::string_view bytes)
      : begin_(reinterpret_cast<const unsigned char*>(bytes.data())), end_(begin_ + bytes.size()) {}

  /// Has 56 bits for the next calls of ones() and get().
  void fill() {
    if (end_ - begin_ >= 8) {
      std::uint64_t word;
      std::memcpy(&word, end_ - 8, sizeof word);
      bits_ |= __builtin_bswap64(word) << count_;
      end_ -= (63 - count_) / 8;
      count_ |= 56;
      return;
    }
    for (; count_ <= 56; count_ += 8) {
      if (end_ == begin_) {
        ++missing_;
      } else {
        bits_ |= static_cast<std::uint64_t>(*--end_) << count_;
      }
    }
  }

  std::uint64_t get(unsigned count) {
    const auto value = bits_ & ((1ull << count) - 1);
    bits_ >>= count;
    count_ -= count;
    return value;
  }

  /// How many ones come before the next zero, which is taken too; `most` at most, without one.
  unsigned ones(unsigned most) {
    const auto count = static_cast<unsigned>(std::countr_one(bits_));
    get(count < most ? count + 1 : most);
    return std::min(count, most);
  }

  /// Where the bits that were not taken end, if all of the last byte's are 0; otherwise null.
  const unsigned char* end() const {
    const auto left = bits_ & ((1ull << count_ % 8) - 1);
    const auto held = count_ / 8;
    return left == 0 && missing_ <= held ? end_ + (held - missing_) : nullptr;
  }

 private:
  const unsigned char* begin_;
  const unsigned char* end_;
  std::uint64_t bits_ = 0;
  unsigned count_ = 0;    // in bits_
  unsigned missing_ = 0;  // bytes before begin_ in them
};

}  // namespace msp::queue
