#include "agent/delivery/encode/write_request.h"

#include "agent/base/uninitialized.h"
#include "agent/delivery/encode/protobuf.h"
#include "agent/queue/compression.h"

namespace msp::delivery {
namespace {

using namespace protobuf;

constexpr auto kTimeSeries = bytes_tag(1);
constexpr auto kSeriesLabel = bytes_tag(1);
constexpr auto kSeriesSample = bytes_tag(2);
constexpr auto kLabelName = bytes_tag(1);
constexpr auto kLabelValue = bytes_tag(2);
constexpr auto kSampleValue = fixed64_tag(1);
constexpr auto kSampleTimestamp = varint_tag(2);

std::size_t label_size(metrics::Labels::View label) {
  return bytes_size(label.name.size()) + bytes_size(label.value.size());
}

std::size_t sample_size(const queue::Point& point) {
  return double_size(point.value) + number_size(point.timestamp_ms);
}

std::size_t series_size(const metrics::Series& series, std::span<const queue::Point> points) {
  std::size_t size = 0;
  for (const auto label : series.labels) size += bytes_size(label_size(label));
  for (const auto& point : points) size += bytes_size(sample_size(point));
  return size;
}

std::uint8_t* write_series(const metrics::Series& series, std::span<const queue::Point> points,
                           std::uint8_t* at) {
  for (const auto label : series.labels) {
    at = write_length(kSeriesLabel, label_size(label), at);
    at = write_bytes(kLabelName, label.name, at);
    at = write_bytes(kLabelValue, label.value, at);
  }
  for (const auto& point : points) {
    at = write_length(kSeriesSample, sample_size(point), at);
    at = write_double(kSampleValue, point.value, at);
    at = write_number(kSampleTimestamp, point.timestamp_ms, at);
  }
  return at;
}

}  // namespace

Extent WriteRequest::write(queue::Batch& batch, std::size_t rows_begin, std::size_t rows_end,
                           std::size_t bytes_max, std::string& message) {
  const auto rows = batch.rows().subspan(rows_begin, rows_end - rows_begin);
  Extent extent{rows_begin, 0};
  std::size_t size = 0;
  sizes_.clear();
  for (const auto& row : rows) {
    std::size_t row_size = 0;  // of a request without a tag, for it is series with their tags
    std::size_t whole_size = 0;
    if (row.request != nullptr) {
      const auto stated = queue::content_size_of(row.request->message).value_or(0);
      row_size = whole_size = stated <= queue::kRequestContentMax ? stated : 0;
    } else {
      row_size = series_size(*row.series, batch.points(row));
      whole_size = bytes_size(row_size);
    }
    if (extent.rows_end > rows_begin && size + whole_size > bytes_max) break;
    sizes_.push_back(row_size);
    size += whole_size;
    ++extent.rows_end;
  }
  resize_uninitialized(message, size);
  auto* at = reinterpret_cast<std::uint8_t*>(message.data());
  for (std::size_t i = 0; i < sizes_.size(); ++i) {
    const auto& row = rows[i];
    if (row.request != nullptr) {
      const bool is_readable =
          sizes_[i] > 0 &&
          queue::decompress_frames(row.request->message, reinterpret_cast<char*>(at), sizes_[i]);
      (is_readable ? extent.samples : extent.unreadable_samples) += row.samples();
      if (is_readable) at += sizes_[i];
      continue;
    }
    extent.samples += row.samples();
    at = write_length(kTimeSeries, sizes_[i], at);
    at = write_series(*row.series, batch.points(row), at);
  }
  message.resize(static_cast<std::size_t>(at - reinterpret_cast<std::uint8_t*>(message.data())));
  return extent;
}

}  // namespace msp::delivery
