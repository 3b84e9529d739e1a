#include "agent/http/wiped_memory.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace msp::http {

Secret::~Secret() {
  explicit_bzero(text_.data(), text_.capacity());
}

void Secret::append(std::string_view text) {
  if (text_.size() + text.size() > text_.capacity()) std::abort();
  text_.append(text);
}

void wiping_free(void* memory) {
  if (memory == nullptr) return;
  explicit_bzero(memory, malloc_usable_size(memory));
  std::free(memory);
}

void* wiping_realloc(void* memory, std::size_t size) {
  if (memory == nullptr) return std::malloc(size);
  void* const other = std::malloc(size);
  if (other == nullptr) return nullptr;
  std::memcpy(other, memory, std::min(malloc_usable_size(memory), size));
  wiping_free(memory);
  return other;
}

}  // namespace msp::http
