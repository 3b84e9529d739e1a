// Writes JSON (RFC 8259), a member per line or all on one. What it writes is valid whatever it is
// given: bytes that are not UTF-8 become U+FFFD, what is not printable is escaped, so that no
// terminal obeys it, and NaN and the infinities are null. It reads nothing: agent/config/document
// does, for JSON without raw control characters is YAML.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "agent/base/text.h"

namespace msp {

/// `text` in double quotes.
std::string json_string(std::string_view text);

/// "null" where JSON has no such number.
std::string json_number(double value);

/// One object, which is open from the start. Keys are the caller's own and not checked.
class JsonWriter {
 public:
  enum class Layout { lines, one_line };

  explicit JsonWriter(Layout layout = Layout::lines) : layout_(layout) {}

  template <typename Value>
  void add(std::string_view key, const Value& value) {
    begin(key);
    if constexpr (std::is_same_v<Value, bool>) {
      text_ += value ? "true" : "false";
    } else if constexpr (std::is_floating_point_v<Value>) {
      text_ += json_number(value);
    } else if constexpr (std::is_integral_v<Value>) {
      text_ += cat(value);
    } else {
      text_ += json_string(value);
    }
  }

  /// Without a key: the next item of a list.
  void open_object(std::string_view key = {}) { open(key, '{', '}'); }
  void open_list(std::string_view key) { open(key, '[', ']'); }
  /// Closes what was opened last.
  void close();

  /// The text, with all closed that was open.
  std::string finish();

 private:
  void begin(std::string_view key);
  void break_line();
  void open(std::string_view key, char opening, char closing);

  const Layout layout_;
  std::string text_ = "{";
  std::string closing_ = "}";
  bool is_empty_ = true;  // what was opened last
};

}  // namespace msp
