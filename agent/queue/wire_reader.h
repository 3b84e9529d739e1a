// Protobuf's wire format, field by field, out of bytes that are not to be trusted
// (https://protobuf.dev/programming-guides/encoding/). Nothing is copied or allocated.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/queue/bytes.h"

namespace msp::queue {

class WireReader {
 public:
  enum class Type : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

  explicit WireReader(std::string_view message) : reader_(message) {}

  /// False at the end of the message, and where it is damaged: ok() tells which. Groups, which no
  /// message of remote write has ever had, count as damage.
  bool next() {
    if (!ok_ || reader_.rest().empty()) return false;
    const auto tag = reader_.varint();
    field_ = static_cast<std::uint32_t>(tag >> 3);
    type_ = static_cast<Type>(tag & 7);
    if (tag >> 32 != 0 || field_ == 0) return ok_ = false;
    switch (type_) {
      case Type::varint:
        number_ = reader_.varint();
        break;
      case Type::fixed64:
        number_ = reader_.fixed<std::uint64_t>();
        break;
      case Type::bytes:
        bytes_ = reader_.take(reader_.varint());
        break;
      case Type::fixed32:
        number_ = reader_.fixed<std::uint32_t>();
        break;
      default:
        return ok_ = false;
    }
    return ok_ = reader_.ok();
  }

  bool ok() const { return ok_; }
  std::uint32_t field() const { return field_; }
  Type type() const { return type_; }
  bool is(std::uint32_t field, Type type) const { return field_ == field && type_ == type; }
  std::uint64_t number() const { return number_; }
  std::string_view bytes() const { return bytes_; }
  /// What is behind the field.
  std::string_view rest() const { return reader_.rest(); }

 private:
  ByteReader reader_;
  bool ok_ = true;
  std::uint32_t field_ = 0;
  Type type_ = Type::varint;
  std::uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace msp::queue
