#include "collectors/dbus_message.h"

#include "agent/base/text.h"

namespace msp::collectors {
namespace {

constexpr std::size_t kFieldsBytesMax = 64 << 10;  // of a header; the protocol allows more

enum Field : std::uint8_t {
  kPath = 1,
  kInterface = 2,
  kMember = 3,
  kErrorName = 4,
  kReplySerial = 5,
  kDestination = 6,
  kSignature = 8,
};

class Writer {
 public:
  void byte(std::uint8_t value) { bytes_ += static_cast<char>(value); }

  void number(std::uint32_t value) {
    align(4);
    for (int shift = 0; shift < 32; shift += 8) byte(static_cast<std::uint8_t>(value >> shift));
  }

  void string(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    bytes_.append(text).push_back('\0');
  }

  void signature(std::string_view text) {
    byte(static_cast<std::uint8_t>(text.size()));
    bytes_.append(text).push_back('\0');
  }

  void field(Field code, std::string_view type, std::string_view text) {
    align(8);
    byte(code);
    signature(type);
    type == "g" ? signature(text) : string(text);
  }

  void align(std::size_t alignment) { bytes_.resize((bytes_.size() + alignment - 1) & -alignment); }
  void put_number(std::size_t at, std::size_t value) {
    for (int i = 0; i < 4; ++i) bytes_[at + i] = static_cast<char>(value >> (8 * i));
  }
  std::size_t size() const { return bytes_.size(); }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

std::size_t aligned(std::size_t bytes) {
  return (bytes + 7) & ~std::size_t{7};
}

}  // namespace

std::string encode_call(std::uint32_t serial, const DbusCall& call) {
  constexpr std::size_t kBodyBytesAt = 4, kFieldsBytesAt = 12;
  Writer out;
  out.byte('l');
  out.byte(1);  // a method call
  out.byte(0);  // that wants an answer
  out.byte(1);  // version of the protocol
  out.number(0);
  out.number(serial);
  out.number(0);
  out.field(kPath, "o", call.path);
  out.field(kInterface, "s", call.interface);
  out.field(kMember, "s", call.member);
  out.field(kDestination, "s", call.destination);
  if (call.arguments.size() > 0) {
    out.field(kSignature, "g", std::string(call.arguments.size(), 's'));
  }
  out.put_number(kFieldsBytesAt, out.size() - kDbusFixedBytes);
  out.align(8);
  const auto body_at = out.size();
  for (const auto argument : call.arguments) out.string(argument);
  out.put_number(kBodyBytesAt, out.size() - body_at);
  return out.take();
}

void DbusReader::fail() {
  has_failed_ = true;
  at_ = bytes_.size();
}

std::string_view DbusReader::take(std::size_t bytes) {
  if (has_failed_ || bytes > bytes_.size() - at_) {
    fail();
    return {};
  }
  const auto taken = bytes_.substr(at_, bytes);
  at_ += bytes;
  return taken;
}

void DbusReader::align(std::size_t alignment) {
  take((alignment - at_ % alignment) % alignment);
}

std::uint8_t DbusReader::byte() {
  const auto taken = take(1);
  return taken.empty() ? 0 : static_cast<std::uint8_t>(taken[0]);
}

std::uint32_t DbusReader::number() {
  align(4);
  const auto taken = take(4);
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const auto shift = 8 * (is_big_endian_ ? 3 - i : i);
    value |= std::uint32_t{static_cast<std::uint8_t>(taken[i])} << shift;
  }
  return value;
}

/// With the NUL that follows.
std::string_view DbusReader::text(std::size_t bytes) {
  const auto text = take(bytes);
  const auto end = take(1);
  if (has_failed_) return {};
  if (end[0] != '\0' || text.find('\0') != text.npos || !is_utf8(text)) {
    fail();
    return {};
  }
  return text;
}

std::string_view DbusReader::string() {
  return text(number());
}

std::string_view DbusReader::signature() {
  return text(byte());
}

std::size_t DbusReader::array_end(std::size_t item_alignment) {
  const std::size_t bytes = number();
  align(item_alignment);
  if (bytes > bytes_.size() - at_) fail();
  return at_ + (has_failed_ ? 0 : bytes);
}

Result<std::size_t> dbus_message_bytes(std::string_view fixed, std::size_t bytes_max) {
  constexpr std::uint8_t kVersion = 1;
  const bool is_big_endian = fixed[0] == 'B';
  DbusReader reader(fixed, is_big_endian);
  if ((fixed[0] != 'l' && !is_big_endian) || fixed[3] != kVersion) {
    return failed("bytes that are no D-Bus message");
  }
  reader.number();
  const std::uint64_t body_bytes = reader.number();
  const auto serial = reader.number();
  const std::uint64_t fields_bytes = reader.number();
  if (serial == 0) return failed("a message without a serial number");
  if (fields_bytes > kFieldsBytesMax || body_bytes > bytes_max ||
      kDbusFixedBytes + aligned(fields_bytes) + body_bytes > bytes_max) {
    return failed(cat("a message of ", body_bytes, " bytes with ", fields_bytes, " in its header; ",
                      bytes_max, " in all are the limit"));
  }
  return kDbusFixedBytes + aligned(fields_bytes) + body_bytes;
}

Result<DbusMessage> parse_dbus_message(std::string_view bytes) {
  if (bytes.size() < kDbusFixedBytes) return failed("a message that is cut off");
  const auto size = dbus_message_bytes(bytes.substr(0, kDbusFixedBytes), bytes.size());
  if (!size) return size.error();
  if (*size != bytes.size()) return failed("a message with other bytes behind it");

  DbusMessage message;
  message.is_big_endian = bytes[0] == 'B';
  message.type = static_cast<std::uint8_t>(bytes[1]);
  DbusReader fixed(bytes, message.is_big_endian);
  fixed.number();
  const auto body_bytes = fixed.number();
  DbusReader fields(bytes.substr(0, bytes.size() - body_bytes), message.is_big_endian);
  for (std::size_t at = 0; at < kDbusFixedBytes - 4; at += 4) fields.number();
  for (const auto end = fields.array_end(8); fields.at() < end;) {
    fields.align(8);
    const auto code = fields.byte();
    const auto type = fields.signature();
    std::string_view text;
    std::uint32_t number = 0;
    if (type == "s" || type == "o") {
      text = fields.string();
    } else if (type == "g") {
      text = fields.signature();
    } else if (type == "u") {
      number = fields.number();
    } else {
      fields.fail();
    }
    if (fields.has_failed() || fields.at() > end) {
      return failed(cat("a message whose header field ", code, " cannot be right"));
    }
    if (code == kErrorName) message.error_name = text;
    if (code == kReplySerial) message.reply_serial = number;
    if (code == kSignature) message.signature = text;
  }
  if (fields.has_failed()) return failed("a message whose header cannot be right");
  message.body = bytes.substr(bytes.size() - body_bytes);
  return message;
}

}  // namespace msp::collectors
