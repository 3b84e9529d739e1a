// Room in a string for bytes that are about to be written, without zeroes there first.
#pragma once

#include <cstddef>
#include <string>

namespace msp {

/// What `text` has before `size` stays. (libstdc++ 12 hands the operation the capacity where the size should be.)
inline void resize_uninitialized(std::string& text, std::size_t size) {
  text.resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
}

}  // namespace msp
