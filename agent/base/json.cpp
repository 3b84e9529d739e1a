#include "agent/base/json.h"

#include <cmath>
#include <utility>

namespace msp {
namespace {

void append_escape(std::string& out, unsigned code) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[code >> shift & 0xf];
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string valid(text);
  make_utf8(valid);
  std::string out = "\"";
  for (std::size_t i = 0; i < valid.size(); ++i) {
    const auto byte = static_cast<unsigned char>(valid[i]);
    const auto next = i + 1 < valid.size() ? static_cast<unsigned char>(valid[i + 1]) : 0U;
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += valid[i];
    } else if (byte < 0x20 || byte == 0x7f) {
      append_escape(out, byte);
    } else if (byte == 0xc2 && next < 0xa0) {  // U+0080 to U+009F
      append_escape(out, next);
      ++i;
    } else {
      out += valid[i];
    }
  }
  return out + '"';
}

std::string json_number(double value) {
  return std::isfinite(value) ? cat(value) : "null";
}

void JsonWriter::begin(std::string_view key) {
  if (!std::exchange(is_empty_, false)) text_ += ',';
  text_ += '\n';
  text_.append(2 * closing_.size(), ' ');
  if (!key.empty()) text_ += cat(json_string(key), ": ");
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
  if (!std::exchange(is_empty_, false)) {
    text_ += '\n';
    text_.append(2 * closing_.size(), ' ');
  }
  text_ += closing;
}

std::string JsonWriter::finish() {
  while (!closing_.empty()) close();
  return std::exchange(text_, {}) + '\n';
}

}  // namespace msp
