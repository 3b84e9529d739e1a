// MD5 (RFC 1321): for numbers that others compute alike, never for anything that must be safe.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace msp {

std::array<std::uint8_t, 16> md5(std::string_view text);

}  // namespace msp
