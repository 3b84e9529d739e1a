#include "agent/base/json.h"

#include <cmath>
#include <utility>

namespace msp {
namespace {

void append_escape(std::string& out, std::uint32_t code) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[code >> shift & 0xf];
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string valid(text);
  make_utf8(valid);
  std::string out = "\"";
  for (std::string_view rest = valid; !rest.empty();) {
    const auto character = first_character(rest);
    if (character.is_printable) {
      if (character.code == '"' || character.code == '\\') out += '\\';
      out += rest.substr(0, character.bytes);
    } else {
      append_escape(out, character.code);
    }
    rest.remove_prefix(character.bytes);
  }
  return out + '"';
}

std::string json_number(double value) {
  return std::isfinite(value) ? cat(value) : "null";
}

void JsonWriter::break_line() {
  if (layout_ == Layout::one_line) return;
  text_ += '\n';
  text_.append(2 * closing_.size(), ' ');
}

void JsonWriter::begin(std::string_view key) {
  if (!std::exchange(is_empty_, false)) text_ += ',';
  break_line();
  if (!key.empty()) text_ += cat(json_string(key), layout_ == Layout::one_line ? ":" : ": ");
}

void JsonWriter::open(std::string_view key, char opening, char closing) {
  begin(key);
  text_ += opening;
  closing_ += closing;
  is_empty_ = true;
}

void JsonWriter::close() {
  const char closing = closing_.back();
  closing_.pop_back();
  if (!std::exchange(is_empty_, false)) break_line();
  text_ += closing;
}

std::string JsonWriter::finish() {
  while (!closing_.empty()) close();
  return std::exchange(text_, {}) + '\n';
}

}  // namespace msp
