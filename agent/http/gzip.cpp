#include "agent/http/gzip.h"

#include <zlib.h>

namespace msp::http {

std::string gzip(std::string_view text) {
  constexpr int kGzip = 16;  // deflateInit2(3): added to the size of the window
  constexpr int kWindowBits = 14;
  constexpr int kMemoryLevel = 6;
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kWindowBits + kGzip, kMemoryLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return {};
  }
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const bool is_whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(is_whole ? packed.size() - stream.avail_out : 0);
  packed.shrink_to_fit();
  deflateEnd(&stream);
  return packed;
}

}  // namespace msp::http
