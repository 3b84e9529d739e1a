// gzip (RFC 1952) unpacked piece by piece as it arrives, never further than it is wanted: a few
// bytes may stand for gigabytes. Holds 40 kB while it works, whatever it is given.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct z_stream_s;  // zlib's z_stream

namespace msp::http {

class Gunzip {
 public:
  enum class Outcome {
    ok,
    too_long,  // `out` is full and there is more
    damaged,
  };

  Gunzip();

  /// Appends to `out` what `packed`, the next piece, stands for, until `out` has `size_max` bytes.
  Outcome unpack(std::string_view packed, std::size_t size_max, std::string& out);

  /// Whether what was given so far is gzip from its begin to its end.
  bool is_complete() const { return is_complete_; }

 private:
  struct End {
    void operator()(z_stream_s* stream) const;
  };
  std::unique_ptr<z_stream_s, End> stream_;
  bool is_complete_ = false;
};

}  // namespace msp::http
