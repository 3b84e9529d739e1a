// The content of a request's body: what its Content-Encoding says, decompressed, never more than a
// limit, whatever the bytes say of themselves.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

namespace msp::relay {

enum class ContentEncoding { snappy, zstd };

struct ContentError {
  bool is_too_large = false;  // else it can never be read
  std::string text;
};

/// An empty body is an empty message. Of zstd, frames one after the other are one content.
std::expected<std::string, ContentError> decompress(std::string_view body, ContentEncoding encoding,
                                                    std::size_t bytes_max);

}  // namespace msp::relay
