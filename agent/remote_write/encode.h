// A batch as the body of a remote write 1.0 request (prometheus.WriteRequest of remote_write.proto
// in a snappy block).
//
// The message is written field by field with protobuf's own wire writer into a buffer that is kept:
// the generated classes would copy every label into a string of its own at every tick. The tests
// read it back with protobuf's parser.
#pragma once

#include <string>
#include <string_view>

#include "agent/buffer/batch.h"

namespace msp {

/// One per endpoint; one thread at a time.
class Encoder {
 public:
  /// Valid until the next call.
  std::string_view encode(Batch& batch);

 private:
  std::string message_;
  std::string compressed_;
};

}  // namespace msp
