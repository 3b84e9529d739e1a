#include "agent/metrics/labels.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "agent/base/text.h"

namespace msp::metrics {
namespace {

std::uint16_t length_at(const char* at) {
  std::uint16_t length;
  std::memcpy(&length, at, sizeof length);
  return length;
}

std::string_view string_at(const char* at) {
  return {at + sizeof(std::uint16_t), length_at(at)};
}

void append_string(std::string& flat, std::string_view text) {
  const auto length = static_cast<std::uint16_t>(text.size());
  flat.append(reinterpret_cast<const char*>(&length), sizeof length);
  flat.append(text);
}

/// Cuts at a character's start, so that the rest stays UTF-8.
std::string_view at_most(std::string_view text, std::size_t length) {
  if (text.size() <= length) return text;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  return text.substr(0, length);
}

}  // namespace

Labels::View Labels::Iterator::operator*() const {
  const auto name = string_at(at_);
  return {name, string_at(name.data() + name.size())};
}

Labels::Iterator& Labels::Iterator::operator++() {
  const auto value = (**this).value;
  at_ = value.data() + value.size();
  return *this;
}

Labels::Labels(std::vector<Label> labels) {
  // By insertion: there are few, and those of one name stay in their order.
  for (std::size_t i = 1; i < labels.size(); ++i) {
    for (auto j = i; j > 0 && labels[j].name < labels[j - 1].name; --j) {
      std::swap(labels[j], labels[j - 1]);
    }
  }
  // At once, and not as it grows: what that would leave between the sets of a target's series nobody
  // takes again.
  std::size_t bytes = 0;
  for (const auto& [name, value] : labels) {
    bytes += 2 * sizeof(std::uint16_t) + name.size() + value.size();
  }
  flat_.reserve(bytes);
  const std::string* previous = nullptr;
  for (auto& label : labels) {
    if (previous != nullptr && *previous == label.name) continue;
    previous = &label.name;
    if (label.value.empty()) continue;
    make_utf8(label.value);
    append_string(flat_, at_most(label.name, kLengthMax));
    append_string(flat_, at_most(label.value, kLengthMax));
  }
  flat_.shrink_to_fit();
}

bool Labels::assign_flat(std::string_view flat) {
  std::size_t at = 0;
  for (int strings = 0; at < flat.size() || strings % 2 != 0; ++strings) {
    if (flat.size() - at < sizeof(std::uint16_t)) return false;
    const std::size_t length = length_at(flat.data() + at);
    at += sizeof(std::uint16_t);
    if (flat.size() - at < length) return false;
    at += length;
  }
  flat_.assign(flat);
  return true;
}

std::string_view Labels::get(std::string_view name) const {
  for (const auto label : *this) {
    if (label.name == name) return label.value;
  }
  return {};
}

bool is_label_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace msp::metrics
