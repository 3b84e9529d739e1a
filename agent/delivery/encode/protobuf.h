// Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), with protobuf's own
// writer of numbers: sizes first, then bytes into memory that is large enough.
//
// The messages are written field by field: the generated classes would copy every label into a
// string of its own at every tick. The tests read them back with protobuf's parser.
#pragma once

#include <google/protobuf/io/coded_stream.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace msp::delivery::protobuf {

using google::protobuf::io::CodedOutputStream;

/// A field's tag: its number and how it is written. Fields up to 15: one byte.
constexpr std::uint8_t varint_tag(int field) {
  return static_cast<std::uint8_t>(field << 3 | 0);
}
constexpr std::uint8_t fixed64_tag(int field) {
  return static_cast<std::uint8_t>(field << 3 | 1);
}
/// Of strings, messages and packed numbers: a length and that many bytes.
constexpr std::uint8_t bytes_tag(int field) {
  return static_cast<std::uint8_t>(field << 3 | 2);
}

inline std::size_t varint_size(std::uint64_t value) {
  return CodedOutputStream::VarintSize64(value);
}

/// With its tag.
inline std::size_t bytes_size(std::size_t bytes) {
  return 1 + varint_size(bytes) + bytes;
}

// A number of 0 is what its field's absence means, and is not written: as protobuf's own classes
// do.

/// With its tag. -0.0 is written.
inline std::size_t double_size(double value) {
  return std::bit_cast<std::uint64_t>(value) == 0 ? 0 : 1 + sizeof value;
}

/// With its tag; negative ones take ten bytes.
inline std::size_t number_size(std::int64_t value) {
  return value == 0 ? 0 : 1 + varint_size(static_cast<std::uint64_t>(value));
}

inline std::uint8_t* write_varint(std::uint64_t value, std::uint8_t* at) {
  return CodedOutputStream::WriteVarint64ToArray(value, at);
}

inline std::uint8_t* write_length(std::uint8_t tag, std::size_t length, std::uint8_t* at) {
  *at++ = tag;
  return write_varint(length, at);
}

inline std::uint8_t* write_bytes(std::uint8_t tag, std::string_view bytes, std::uint8_t* at) {
  at = write_length(tag, bytes.size(), at);
  return CodedOutputStream::WriteRawToArray(bytes.data(), static_cast<int>(bytes.size()), at);
}

inline std::uint8_t* write_double(std::uint8_t tag, double value, std::uint8_t* at) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  if (bits == 0) return at;
  *at++ = tag;
  return CodedOutputStream::WriteLittleEndian64ToArray(bits, at);
}

inline std::uint8_t* write_number(std::uint8_t tag, std::int64_t value, std::uint8_t* at) {
  if (value == 0) return at;
  *at++ = tag;
  return write_varint(static_cast<std::uint64_t>(value), at);
}

}  // namespace msp::delivery::protobuf
