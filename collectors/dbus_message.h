// D-Bus messages as bytes (https://dbus.freedesktop.org/doc/dbus-specification.html, "Message
// Protocol"): writes a method call whose arguments are strings, reads what a bus answers.
//
// Whatever the bytes are, reading stays within them: each length is compared with what is left. Not
// here: arrays of anything but what the caller reads item by item, and signals' arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "agent/base/result.h"

namespace msp::collectors {

struct DbusCall {
  std::string_view destination;
  std::string_view path;
  std::string_view interface;
  std::string_view member;
  std::initializer_list<std::string_view> arguments = {};
};

/// The call as it goes to the bus. `serial` is not 0.
std::string encode_call(std::uint32_t serial, const DbusCall& call);

/// Values of a message, one after the other. The first one that cannot be right fails the reader:
/// that value and all after it are 0 or empty.
class DbusReader {
 public:
  /// `bytes` begin at a multiple of 8 of the message, and outlive what is read.
  DbusReader(std::string_view bytes, bool is_big_endian)
      : bytes_(bytes), is_big_endian_(is_big_endian) {}

  std::uint8_t byte();
  std::uint32_t number();        // UINT32
  std::string_view string();     // STRING, OBJECT_PATH: valid UTF-8 without NUL
  std::string_view signature();  // SIGNATURE
  /// ARRAY: where its items end. Each item that is a struct begins with align(8).
  std::size_t array_end(std::size_t item_alignment);
  void align(std::size_t alignment);

  bool has_failed() const { return has_failed_; }
  std::size_t at() const { return at_; }
  bool is_at_end() const { return at_ == bytes_.size(); }
  void fail();

 private:
  std::string_view take(std::size_t bytes);
  std::string_view text(std::size_t bytes);

  std::string_view bytes_;
  std::size_t at_ = 0;
  bool is_big_endian_;
  bool has_failed_ = false;
};

inline constexpr std::size_t kDbusFixedBytes = 16;  // that every message begins with

/// How long a message is, by its first kDbusFixedBytes. An error where these are none, or say more
/// than `bytes_max`.
Result<std::size_t> dbus_message_bytes(std::string_view fixed, std::size_t bytes_max);

struct DbusMessage {
  enum Type : std::uint8_t { kReturn = 2, kError = 3 };  // others are not for us

  std::uint8_t type = 0;
  bool is_big_endian = false;
  std::uint32_t reply_serial = 0;    // 0: it answers no call
  std::string_view error_name = {};  // of an error
  std::string_view signature = {};   // of the body
  std::string_view body = {};

  DbusReader reader() const { return {body, is_big_endian}; }
};

/// A whole message, which points into `bytes`.
Result<DbusMessage> parse_dbus_message(std::string_view bytes);

}  // namespace msp::collectors
