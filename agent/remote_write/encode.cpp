#include "agent/remote_write/encode.h"

#include <google/protobuf/io/coded_stream.h>
#include <snappy.h>

#include <bit>

namespace msp {
namespace {

using Wire = google::protobuf::io::CodedOutputStream;

// Tags of remote_write.proto: field number << 3 | wire type (2: length and bytes, 1: 64 bits, 0:
// varint).
constexpr std::uint8_t kTimeSeries = 1 << 3 | 2;
constexpr std::uint8_t kSeriesLabel = 1 << 3 | 2;
constexpr std::uint8_t kSeriesSample = 2 << 3 | 2;
constexpr std::uint8_t kLabelName = 1 << 3 | 2;
constexpr std::uint8_t kLabelValue = 2 << 3 | 2;
constexpr std::uint8_t kSampleValue = 1 << 3 | 1;
constexpr std::uint8_t kSampleTimestamp = 2 << 3 | 0;

std::size_t bytes_size(std::size_t bytes) {
  return 1 + Wire::VarintSize32(static_cast<std::uint32_t>(bytes)) + bytes;
}

std::uint8_t* write_length(std::uint8_t tag, std::size_t length, std::uint8_t* at) {
  *at++ = tag;
  return Wire::WriteVarint32ToArray(static_cast<std::uint32_t>(length), at);
}

std::uint8_t* write_bytes(std::uint8_t tag, std::string_view bytes, std::uint8_t* at) {
  at = write_length(tag, bytes.size(), at);
  return Wire::WriteRawToArray(bytes.data(), static_cast<int>(bytes.size()), at);
}

std::size_t label_size(Labels::View label) {
  return bytes_size(label.name.size()) + bytes_size(label.value.size());
}

std::size_t sample_size(const Point& point) {
  return 1 + sizeof(double) + 1 +
         Wire::VarintSize64(static_cast<std::uint64_t>(point.timestamp_ms));
}

std::size_t series_size(const Series& series, std::span<const Point> points) {
  std::size_t size = 0;
  for (const auto label : series.labels) size += bytes_size(label_size(label));
  for (const auto& point : points) size += bytes_size(sample_size(point));
  return size;
}

std::uint8_t* write_series(const Series& series, std::span<const Point> points, std::uint8_t* at) {
  for (const auto label : series.labels) {
    at = write_length(kSeriesLabel, label_size(label), at);
    at = write_bytes(kLabelName, label.name, at);
    at = write_bytes(kLabelValue, label.value, at);
  }
  for (const auto& point : points) {
    at = write_length(kSeriesSample, sample_size(point), at);
    *at++ = kSampleValue;
    at = Wire::WriteLittleEndian64ToArray(std::bit_cast<std::uint64_t>(point.value), at);
    *at++ = kSampleTimestamp;
    at = Wire::WriteVarint64ToArray(static_cast<std::uint64_t>(point.timestamp_ms), at);
  }
  return at;
}

}  // namespace

std::string_view Encoder::encode(Batch& batch) {
  const auto rows = batch.rows();
  std::size_t size = 0;
  for (const auto& row : rows) size += bytes_size(series_size(*row.series, batch.points(row)));
  message_.resize(size);
  auto* at = reinterpret_cast<std::uint8_t*>(message_.data());
  for (const auto& row : rows) {
    const auto points = batch.points(row);
    at = write_length(kTimeSeries, series_size(*row.series, points), at);
    at = write_series(*row.series, points, at);
  }

  compressed_.resize(snappy::MaxCompressedLength(size));
  std::size_t compressed_size = 0;
  snappy::RawCompress(message_.data(), size, compressed_.data(), &compressed_size);
  return std::string_view(compressed_).substr(0, compressed_size);
}

}  // namespace msp
