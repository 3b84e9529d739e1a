#include "agent/relay/content.h"

#include <snappy.h>

#include "agent/base/text.h"
#include "agent/base/uninitialized.h"
#include "agent/queue/compression.h"

namespace msp::relay {
namespace {

// The shortest element is 3 bytes for 64. A length that lies takes no more memory than this.
constexpr std::size_t kSnappyTimesMax = 22;

std::unexpected<ContentError> too_large(std::size_t bytes_max) {
  return std::unexpected(ContentError{
      true, cat("more than ", bytes_max, " bytes when decompressed; send smaller requests")});
}

std::unexpected<ContentError> damaged(std::string_view encoding) {
  return std::unexpected(ContentError{false, cat("the body cannot be decompressed as ", encoding)});
}

}  // namespace

std::expected<std::string, ContentError> decompress(std::string_view body, ContentEncoding encoding,
                                                    std::size_t bytes_max) {
  if (body.empty()) return std::string();
  std::string content;
  if (encoding == ContentEncoding::zstd) {
    switch (queue::decompress_stream(body, bytes_max, content)) {
      case queue::Decompressed::whole:
        return content;
      case queue::Decompressed::too_large:
        return too_large(bytes_max);
      case queue::Decompressed::damaged:
        break;
    }
    return damaged("zstd");
  }
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(body.data(), body.size(), &size)) return damaged("snappy");
  if (size > bytes_max) return too_large(bytes_max);
  if (size > body.size() * kSnappyTimesMax) return damaged("snappy");
  resize_uninitialized(content, size);
  if (!snappy::RawUncompress(body.data(), body.size(), content.data())) return damaged("snappy");
  return content;
}

}  // namespace msp::relay
