// What a relay received and forwards: a compressed message, which is taken apart only where an endpoint
// refuses it (request_series.h).
//
// The message is one or several zstd frames, each with its content's size in its header; their
// contents, one after the other, are one remote write 1.0 WriteRequest. Protobuf merges messages
// that are concatenated, and zstd concatenates the contents of frames: so requests are joined by
// concatenation, without a look at their series.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/result.h"
#include "agent/metrics/sample.h"
#include "agent/queue/format.h"

namespace msp::queue {

/// Immutable once made; shared like a Scrape.
struct Request {
  metrics::StreamPtr stream;            // null: the stream whose name is empty
  std::uint64_t samples = 0;            // in the message; the caller's word, never checked here
  std::int64_t first_timestamp_ms = 0;  // the smallest of its samples
  std::int64_t last_timestamp_ms = 0;   // the largest
  std::string message;
};
using RequestPtr = std::shared_ptr<const Request>;

/// Limits of one request, joined or not: what a reader of the disk queue takes.
inline constexpr std::size_t kRequestMessageMax = 15u << 20;  // compressed
inline constexpr std::size_t kRequestContentMax = 64u << 20;  // decompressed

/// The size of the message's content, as its frames say: nothing is decompressed. An error where
/// `message` is not a sequence of whole frames that say their content's size.
Result<std::uint64_t> content_size_of(std::string_view message);

/// The content of `message`, at most `bytes_max`, which a lying frame cannot make it exceed.
Result<std::string> content_of(std::string_view message, std::size_t bytes_max);

/// `requests`, of one stream and in order, as one whose message has all of their frames. An error
/// where there is none, they are of several streams, or the result is over a limit.
Result<Request> join(std::span<const RequestPtr> requests);

/// The same as one frame where that is smaller; holds all of the content in memory meanwhile.
Result<Request> join_recompressed(std::span<const RequestPtr> requests);

/// Appends the record of a request, or of several that were joined. An error says which limit it is
/// over; then `out` is as it was.
Result<void> append_request(std::uint64_t first_sequence, std::uint64_t last_sequence,
                            const Request& request, std::string& out);

/// What append_request() wrote; nothing where it is not well formed, or its frames say another size
/// than the record does. Nothing is decompressed. `known` is used where it has the stream's name.
std::optional<Request> read_request(const Record& record, const metrics::StreamPtr& known);

}  // namespace msp::queue
