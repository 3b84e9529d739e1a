#include "agent/http/gunzip.h"

#include <zlib.h>

#include <algorithm>
#include <new>

namespace msp::http {
namespace {

constexpr int kGzipOnly = 16;  // inflateInit2(3): added to the size of the window
constexpr std::size_t kPieceBytes = 16 * 1024;

}  // namespace

void Gunzip::End::operator()(z_stream_s* stream) const {
  inflateEnd(stream);
  delete stream;
}

Gunzip::Gunzip() {
  auto stream = std::make_unique<z_stream_s>();
  if (inflateInit2(stream.get(), MAX_WBITS + kGzipOnly) != Z_OK) throw std::bad_alloc();
  stream_.reset(stream.release());
}

Gunzip::Outcome Gunzip::unpack(std::string_view packed, std::size_t size_max, std::string& out) {
  auto& stream = *stream_;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  char piece[kPieceBytes];
  do {
    // Another member follows: together they are one content (RFC 1952, section 2.2).
    if (is_complete_ && stream.avail_in > 0) {
      inflateReset(&stream);
      is_complete_ = false;
    }
    stream.next_out = reinterpret_cast<Bytef*>(piece);
    stream.avail_out = sizeof piece;
    const int code = inflate(&stream, Z_NO_FLUSH);
    if (code == Z_MEM_ERROR) throw std::bad_alloc();  // no damage
    const auto got = sizeof piece - stream.avail_out;
    const auto left = size_max - out.size();
    out.append(piece, std::min(got, left));
    if (got > left) return Outcome::too_long;
    is_complete_ = code == Z_STREAM_END;
    // Z_BUF_ERROR: there was nothing more to do.
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return Outcome::damaged;
  } while (stream.avail_in > 0 || stream.avail_out == 0);
  return Outcome::ok;
}

}  // namespace msp::http
