// Integers as bytes of a record: little-endian of fixed width, or variable (7 bits per byte, low
// ones first, the high bit says that more follow; 10 bytes at most). Signed ones are folded to
// unsigned first, so that small changes in either direction stay small.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace msp::queue {

static_assert(std::endian::native == std::endian::little,
              "files and Labels::flat() are in the byte order of the host");

/// 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
constexpr std::uint64_t fold_sign(std::uint64_t value) {
  return (value << 1) ^ (0 - (value >> 63));
}
constexpr std::uint64_t unfold_sign(std::uint64_t folded) {
  return (folded >> 1) ^ (0 - (folded & 1));
}

/// Of timestamps, modulo 2^64.
constexpr std::uint64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
}
constexpr std::int64_t sum(std::int64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + b);
}

template <typename Integer>
void append_fixed(std::string& out, Integer value) {
  static_assert(std::is_integral_v<Integer>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

/// Takes integers off the front of bytes that are not to be trusted. What is not there reads as 0;
/// ok() tells afterwards, once for all.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <typename Integer>
  Integer fixed() {
    static_assert(std::is_integral_v<Integer>);
    Integer value = 0;
    const auto bytes = take(sizeof value);
    if (ok_) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) break;
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }

  std::string_view take(std::uint64_t length) {
    if (length > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const auto taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }

  std::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace msp::queue
