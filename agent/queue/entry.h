// What the queue holds: the scrape of a source, or requests that a relay received, each at its place
// in the one sequence of the queue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "agent/metrics/sample.h"
#include "agent/queue/request.h"

namespace msp::queue {

/// Exactly one of `scrape` and `request` is set. Copies share it.
struct Entry {
  std::uint64_t first_sequence = 0;  // the same as last_sequence, but for requests that were joined
  std::uint64_t last_sequence = 0;
  std::shared_ptr<const metrics::Scrape> scrape;
  std::shared_ptr<const Request> request;

  std::uint64_t samples() const { return scrape ? scrape->values.size() : request->samples; }
  std::int64_t first_timestamp_ms() const {
    return scrape ? scrape->timestamp_ms : request->first_timestamp_ms;
  }
  std::int64_t last_timestamp_ms() const {
    return scrape ? scrape->timestamp_ms : request->last_timestamp_ms;
  }
  std::string_view stream_name() const {
    const auto& stream = scrape ? scrape->stream : request->stream;
    return stream ? std::string_view(stream->name) : std::string_view();
  }
  bool is_backlog() const {
    const auto& stream = scrape ? scrape->stream : request->stream;
    return stream && stream->is_backlog;
  }
  /// In memory, without the labels.
  std::size_t bytes() const {
    return scrape ? sizeof(metrics::Scrape) + scrape->values.size() * sizeof(double)
                  : sizeof(Request) + request->message.size();
  }
};

}  // namespace msp::queue
