// A batch as the body of a remote write request: the message of the protocol's version, compressed
// as the endpoint takes it.
//
// Bodies have a limit, so a batch may take several requests: rows are never divided, so that each
// series keeps its points together and in time order, whatever the split.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/delivery/encode/request_v2.h"
#include "agent/delivery/encode/write_request.h"
#include "agent/queue/batch.h"

namespace msp::delivery {

/// What goes on the wire.
enum class Wire {
  prometheus_1_0,   // prometheus.WriteRequest in a snappy block
  victoriametrics,  // the same message in one zstd frame
  prometheus_2_0,   // io.prometheus.write.v2.Request in a snappy block
};

/// The headers that say so, "Name: value": Content-Encoding, Content-Type, the protocol's version
/// and User-Agent. Static storage.
const std::vector<std::string>& wire_headers(Wire wire);

/// One per endpoint; one thread at a time. Buffers are kept from request to request.
class Encoder {
 public:
  static constexpr std::size_t kBodyBytesMax = std::size_t{1} << 20;
  static constexpr std::size_t kRawBytesMax = std::size_t{8} << 20;

  struct Part {
    std::size_t rows_end = 0;  // rows [rows_begin, rows_end) of the batch are in it: at least one
    std::size_t samples = 0;
    std::size_t unreadable_samples = 0;  // of requests whose content is not what its frames say
    std::size_t raw_bytes = 0;           // of the message before compression
    std::string_view body;               // valid until the next call
  };

  /// Encodes rows from `rows_begin` on, before `rows_end`: as many as fit into `raw_max` bytes
  /// before compression, but at least one; never more than kBodyBytesMax compressed or kRawBytesMax
  /// raw unless one row alone is larger. The batch has a row `rows_begin`.
  Part encode(queue::Batch& batch, std::size_t rows_begin, std::size_t rows_end, Wire wire,
              std::size_t raw_max);

  /// Gives back what a large batch needed.
  void release();

 private:
  /// Memory that is not touched before it is written: most of a compressor's bound never is.
  struct Body {
    std::unique_ptr<char[]> bytes;
    std::size_t capacity = 0;
    std::size_t size = 0;

    void reserve(std::size_t bytes_count);
  };

  void compress(Wire wire, std::size_t samples);

  WriteRequest write_request_;
  RequestV2 request_v2_;
  std::string message_;
  Body body_;
};

}  // namespace msp::delivery
