// Memory that is overwritten before it is given back, for what was a secret: what is freed without
// that is read again by the next owner, and by whoever reads a core file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace msp::http {

/// Text that is overwritten when it goes. Never grows: a copy that was outgrown would stay behind.
class Secret {
 public:
  explicit Secret(std::size_t capacity) { text_.reserve(capacity); }
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) {}
  Secret& operator=(Secret&& other) noexcept {
    text_.swap(other.text_);
    return *this;
  }
  ~Secret();

  void append(std::string_view text);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// free(3) and realloc(3) for a library that frees what was a secret.
void wiping_free(void* memory);
void* wiping_realloc(void* memory, std::size_t size);

}  // namespace msp::http
