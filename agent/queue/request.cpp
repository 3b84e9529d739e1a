#include "agent/queue/request.h"

#include <algorithm>

#include "agent/base/text.h"
#include "agent/queue/bytes.h"
#include "agent/queue/compression.h"

namespace msp::queue {
Result<std::uint64_t> content_size_of(std::string_view message) {
  const auto size = frames_content_size(message);
  if (!size || message.empty()) {
    return failed("buffer: a request is not made of whole zstd frames that say their size");
  }
  return *size;
}

Result<std::string> content_of(std::string_view message, std::size_t bytes_max) {
  const auto size = content_size_of(message);
  if (!size) return size.error();
  if (*size > bytes_max) {
    return failed(
        cat("buffer: a request has ", *size, " bytes when decompressed; the limit is ", bytes_max));
  }
  auto content = decompress_frames(message, bytes_max);
  if (!content) return failed("buffer: a request cannot be decompressed: it is damaged");
  return std::move(*content);
}

Result<Request> join(std::span<const RequestPtr> requests) {
  if (requests.empty()) return failed("buffer: no request to join");
  const auto& first = *requests.front();
  Request joined{first.stream, 0, first.first_timestamp_ms, first.last_timestamp_ms, {}};
  std::size_t size = 0;
  for (const auto& request : requests) size += request->message.size();
  if (size > kRequestMessageMax) {
    return failed(cat("buffer: ", requests.size(), " requests have ", size,
                      " bytes together; the limit is ", kRequestMessageMax));
  }
  joined.message.reserve(size);
  for (const auto& request : requests) {
    if (name_of(request->stream) != name_of(first.stream)) {
      return failed(cat("buffer: requests of the streams '", name_of(first.stream), "' and '",
                        name_of(request->stream), "' cannot be joined"));
    }
    joined.samples += request->samples;
    joined.first_timestamp_ms = std::min(joined.first_timestamp_ms, request->first_timestamp_ms);
    joined.last_timestamp_ms = std::max(joined.last_timestamp_ms, request->last_timestamp_ms);
    joined.message += request->message;
  }
  const auto content_size = content_size_of(joined.message);
  if (!content_size) return content_size.error();
  if (*content_size > kRequestContentMax) {
    return failed(cat("buffer: ", requests.size(), " requests have ", *content_size,
                      " bytes together when decompressed; the limit is ", kRequestContentMax));
  }
  return joined;
}

Result<Request> join_recompressed(std::span<const RequestPtr> requests) {
  auto joined = join(requests);
  if (!joined) return joined;
  const auto content = content_of(joined->message, kRequestContentMax);
  if (!content) return content.error();
  std::string frame;
  // Without the memory for it the frames stay as they are.
  if (compress_frame(*content, frame) && frame.size() < joined->message.size()) {
    frame.shrink_to_fit();
    joined->message = std::move(frame);
  }
  return joined;
}

Result<void> append_request(std::uint64_t first_sequence, std::uint64_t last_sequence,
                            const Request& request, std::string& out) {
  const auto name = name_of(request.stream);
  const auto content_size = content_size_of(request.message);
  if (!content_size) return content_size.error();
  if (last_sequence < first_sequence || name.size() > kStreamNameMax ||
      request.message.size() > kRequestMessageMax || *content_size > kRequestContentMax ||
      request.samples > *content_size) {
    return failed(cat("buffer: request ", first_sequence, " to ", last_sequence, " of the stream '",
                      name.substr(0, kStreamNameMax), "' has ", request.samples, " samples, ",
                      request.message.size(), " bytes and ", *content_size,
                      " bytes when decompressed; the limits are ", kRequestMessageMax, " and ",
                      kRequestContentMax));
  }
  const auto begin = begin_record(out);
  append_varint(out, first_sequence);
  append_varint(out, last_sequence - first_sequence);
  append_varint(out, request.samples);
  append_varint(out, fold_sign(static_cast<std::uint64_t>(request.first_timestamp_ms)));
  append_varint(out, fold_sign(difference(request.last_timestamp_ms, request.first_timestamp_ms)));
  append_varint(out, *content_size);
  append_varint(out, name.size());
  out.append(name);
  out.append(request.message);
  end_record(out, begin, RecordType::request);
  return {};
}

std::optional<Request> read_request(const Record& record, const metrics::StreamPtr& known) {
  const auto head = entry_head(record);
  if (!head) return std::nullopt;
  ByteReader reader(record.payload);
  for (int i = 0; i < 3; ++i) reader.varint();  // what `head` says
  const auto first_timestamp_ms = static_cast<std::int64_t>(unfold_sign(reader.varint()));
  const auto last_timestamp_ms = sum(first_timestamp_ms, unfold_sign(reader.varint()));
  const auto content_size = reader.varint();
  const auto name = reader.take(reader.varint());
  const auto message = reader.rest();
  if (!reader.ok() || name.size() > kStreamNameMax || head->samples > content_size ||
      content_size > kRequestContentMax || message.size() > kRequestMessageMax) {
    return std::nullopt;
  }
  const auto stated = content_size_of(message);
  if (!stated || *stated != content_size) return std::nullopt;
  auto stream = known;
  if (name_of(known) != name) {
    stream = name.empty()
                 ? nullptr
                 : std::make_shared<const metrics::Stream>(metrics::Stream{std::string(name)});
  }
  return Request{std::move(stream), head->samples, first_timestamp_ms, last_timestamp_ms,
                 std::string(message)};
}

}  // namespace msp::queue
