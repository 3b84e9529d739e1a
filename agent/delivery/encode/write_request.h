// A batch's rows as the message of a remote write 1.0 request, before compression:
// prometheus.WriteRequest, as write_request.proto has it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "agent/queue/batch.h"

namespace msp::delivery {

/// What got into a message.
struct Extent {
  std::size_t rows_end = 0;
  std::size_t samples = 0;
  std::size_t unreadable_samples = 0;  // of requests whose content is not what its frames say
};

/// Reused from request to request. One thread at a time.
class WriteRequest {
 public:
  /// A relay's request is a message already: its content follows that of the series, as protobuf
  /// merges messages. Replaces `message` by one with the batch's rows from `rows_begin` on: as many before
  /// `rows_end` as fit into `bytes_max` bytes, but at least one.
  Extent write(queue::Batch& batch, std::size_t rows_begin, std::size_t rows_end,
               std::size_t bytes_max, std::string& message);

 private:
  std::vector<std::size_t> sizes_;  // of the rows
};

}  // namespace msp::delivery
