#include "agent/delivery/encode/encode.h"

#include <snappy.h>
#include <zstd.h>

#include <algorithm>
#include <new>
#include <utility>

namespace msp::delivery {
namespace {

constexpr auto kUserAgent = "User-Agent: msp-agent/" MSP_AGENT_VERSION;

struct ContextDeleter {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

/// Chosen with tests/bench/wire_bench. The levels of zstd are made for other data and for other
/// machines: 3 takes more bytes and twice the memory, 19 takes 9 MiB.
struct ZstdParameters {
  int window_log;
  ZSTD_strategy strategy;
  int hash_log, chain_log, search_log, min_match, target_length;
};
/// Mostly labels: what is alike is long, and far apart.
constexpr ZstdParameters kOfLabels{18, ZSTD_lazy, 13, 13, 3, 4, 0};
/// The same of more than a host has, which is what exporters expose: 1 MiB reaches back to a target
/// that exposes the same, and shorter matches only hide those that go on.
constexpr ZstdParameters kOfManyLabels{20, ZSTD_lazy, 13, 13, 3, 5, 0};
constexpr std::size_t kManyLabelsBytesMin = 128 << 10;
/// Mostly points: what is alike is short, and many series have the same timestamps; which of the
/// matches to take decides, so it is worth a look ahead. 256 KiB are several hundred points of a dozen
/// series.
constexpr ZstdParameters kOfPoints{18, ZSTD_btopt, 13, 14, 1, 5, 8};
constexpr std::size_t kBytesPerSampleOfLabels = 64;

/// One frame with the content's size in its header. The context is made for each request and given
/// back: between two of them the host has its memory.
std::size_t compress_zstd(std::string_view message, const ZstdParameters& parameters, char* to,
                          std::size_t capacity) {
  const std::unique_ptr<ZSTD_CCtx, ContextDeleter> context(ZSTD_createCCtx());
  if (context == nullptr) throw std::bad_alloc();
  const std::pair<ZSTD_cParameter, int> settings[] = {
      {ZSTD_c_windowLog, parameters.window_log},      {ZSTD_c_strategy, parameters.strategy},
      {ZSTD_c_hashLog, parameters.hash_log},          {ZSTD_c_chainLog, parameters.chain_log},
      {ZSTD_c_searchLog, parameters.search_log},      {ZSTD_c_minMatch, parameters.min_match},
      {ZSTD_c_targetLength, parameters.target_length}};
  for (const auto& [name, value] : settings) ZSTD_CCtx_setParameter(context.get(), name, value);
  const auto size = ZSTD_compress2(context.get(), to, capacity, message.data(), message.size());
  // The parameters are valid and there is room for the worst case: memory is all that can be
  // missing.
  if (ZSTD_isError(size)) throw std::bad_alloc();
  return size;
}

}  // namespace

const std::vector<std::string>& wire_headers(Wire wire) {
  static const std::vector<std::string> kPrometheus1 = {
      "Content-Encoding: snappy", "Content-Type: application/x-protobuf",
      "X-Prometheus-Remote-Write-Version: 0.1.0", kUserAgent};
  static const std::vector<std::string> kVictoriaMetrics = {
      "Content-Encoding: zstd", "Content-Type: application/x-protobuf",
      "X-VictoriaMetrics-Remote-Write-Version: 1", kUserAgent};
  static const std::vector<std::string> kPrometheus2 = {
      "Content-Encoding: snappy",
      "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
      "X-Prometheus-Remote-Write-Version: 2.0.0", kUserAgent};
  switch (wire) {
    case Wire::victoriametrics:
      return kVictoriaMetrics;
    case Wire::prometheus_2_0:
      return kPrometheus2;
    case Wire::prometheus_1_0:
      break;
  }
  return kPrometheus1;
}

Encoder::Part Encoder::encode(queue::Batch& batch, std::size_t rows_begin, std::size_t rows_end,
                              Wire wire, std::size_t raw_max) {
  raw_max = std::min(raw_max, kRawBytesMax);
  for (;;) {
    const auto extent = wire == Wire::prometheus_2_0
                            ? request_v2_.write(batch, rows_begin, rows_end, raw_max, message_)
                            : write_request_.write(batch, rows_begin, rows_end, raw_max, message_);
    compress(wire, extent.samples);
    if (body_.size <= kBodyBytesMax || extent.rows_end == rows_begin + 1) {
      return {extent.rows_end,
              extent.samples,
              extent.unreadable_samples,
              message_.size(),
              {body_.bytes.get(), body_.size}};
    }
    // What is left out compresses like what stays; if it does not, once more.
    raw_max = std::min(message_.size() - 1, message_.size() / body_.size * kBodyBytesMax);
  }
}

void Encoder::compress(Wire wire, std::size_t samples) {
  if (wire == Wire::victoriametrics) {
    body_.reserve(ZSTD_compressBound(message_.size()));
    const bool is_of_labels = message_.size() > samples * kBytesPerSampleOfLabels;
    const auto& parameters = !is_of_labels                            ? kOfPoints
                             : message_.size() >= kManyLabelsBytesMin ? kOfManyLabels
                                                                      : kOfLabels;
    body_.size = compress_zstd(message_, parameters, body_.bytes.get(), body_.capacity);
  } else {
    body_.reserve(snappy::MaxCompressedLength(message_.size()));
    snappy::RawCompress(message_.data(), message_.size(), body_.bytes.get(), &body_.size);
  }
}

void Encoder::Body::reserve(std::size_t bytes_count) {
  if (capacity >= bytes_count) return;
  bytes = std::make_unique_for_overwrite<char[]>(bytes_count);
  capacity = bytes_count;
}

void Encoder::release() {
  *this = Encoder();
}

}  // namespace msp::delivery
