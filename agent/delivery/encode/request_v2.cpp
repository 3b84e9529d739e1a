#include "agent/delivery/encode/request_v2.h"

#include <algorithm>
#include <array>
#include <span>
#include <tuple>

#include "agent/base/uninitialized.h"
#include "agent/delivery/encode/protobuf.h"

namespace msp::delivery {
namespace {

using namespace protobuf;

constexpr auto kSymbol = bytes_tag(4);
constexpr auto kTimeSeries = bytes_tag(5);
constexpr auto kSeriesLabelsRefs = bytes_tag(1);
constexpr auto kSeriesSample = bytes_tag(2);
constexpr auto kSeriesMetadata = bytes_tag(5);
constexpr auto kSampleValue = fixed64_tag(1);
constexpr auto kSampleTimestamp = varint_tag(2);
constexpr auto kSampleStartTimestamp = varint_tag(3);
constexpr auto kMetadataType = varint_tag(1);
constexpr auto kMetadataHelpRef = varint_tag(3);
constexpr auto kMetadataUnitRef = varint_tag(4);

/// As request_v2.proto has it.
std::int64_t type_number(metrics::MetricType type) {
  constexpr std::int64_t kNumbers[] = {1, 2, 3, 5, 0};
  return kNumbers[static_cast<std::size_t>(type)];
}

constexpr std::string_view kInstance = "instance";
constexpr std::string_view kJob = "job";
constexpr std::string_view kBootTime = "node_boot_time_seconds";
/// Those of /proc/stat. A disk or a network device may have come later.
constexpr std::array<std::string_view, 5> kSinceBoot = {
    "node_context_switches_total", "node_cpu_guest_seconds_total", "node_cpu_seconds_total",
    "node_forks_total", "node_intr_total"};

std::size_t sample_size(const queue::Point& point, std::int64_t start_ms) {
  return double_size(point.value) + number_size(point.timestamp_ms) + number_size(start_ms);
}

}  // namespace

std::string_view unit_of(std::string_view metric) {
  constexpr std::string_view kTotal = "_total";
  if (metric.ends_with(kTotal)) metric.remove_suffix(kTotal.size());
  for (const std::string_view unit :
       {"seconds", "bytes", "celsius", "volts", "amperes", "joules", "hertz", "ratio"}) {
    if (metric.size() > unit.size() && metric.ends_with(unit) &&
        metric[metric.size() - unit.size() - 1] == '_') {
      return unit;
    }
  }
  return {};
}

Extent RequestV2::write(queue::Batch& batch, std::size_t rows_begin, std::size_t rows_end,
                        std::size_t bytes_max, std::string& message) {
  find_boot_times(batch);
  symbols_.clear();
  symbols_.number_of("");  // the first, says the specification
  refs_.clear();
  layouts_.clear();
  const auto rows = batch.rows().subspan(rows_begin, rows_end - rows_begin);
  Extent extent{rows_begin, 0};
  std::size_t size = bytes_size(0);  // the empty symbol
  std::size_t symbols_count = 0;
  for (const auto& row : rows) {
    if (row.request != nullptr) break;  // a message of 1.0, in a request of its own
    const auto symbols_before = symbols_.strings().size();
    const auto layout = lay_out(batch, row);
    auto more = bytes_size(layout.size);
    for (auto i = symbols_before; i < symbols_.strings().size(); ++i) {
      more += bytes_size(symbols_.strings()[i].size());
    }
    if (!layouts_.empty() && size + more > bytes_max) break;
    size += more;
    symbols_count = symbols_.strings().size();
    layouts_.push_back(layout);
    extent.samples += row.points_count;
    ++extent.rows_end;
  }

  resize_uninitialized(message, size);
  auto* at = reinterpret_cast<std::uint8_t*>(message.data());
  for (const auto symbol : std::span(symbols_.strings()).first(symbols_count)) {
    at = write_bytes(kSymbol, symbol, at);
  }
  std::size_t refs_begin = 0;
  for (std::size_t i = 0; i < layouts_.size(); ++i) {
    at = write_length(kTimeSeries, layouts_[i].size, at);
    at = write_row(batch, rows[i], layouts_[i], refs_begin, at);
    refs_begin = layouts_[i].refs_end;
  }
  return extent;
}

RequestV2::RowLayout RequestV2::lay_out(const queue::Batch& batch, const queue::Batch::Row& row) {
  RowLayout layout;
  for (const auto label : row.series->labels) {
    for (const auto text : {label.name, label.value}) {
      refs_.push_back(symbols_.number_of(text));
      layout.refs_size += varint_size(refs_.back());
    }
  }
  layout.refs_end = refs_.size();

  const auto name = row.series->labels.get(metrics::kMetricName);
  if (const auto* desc = row.series->desc.get()) {
    layout.type = type_number(desc->type);
    layout.help_ref = symbols_.number_of(desc->help);
    layout.unit_ref = symbols_.number_of(unit_of(desc->name));
  }
  layout.since_boot = std::find(kSinceBoot.begin(), kSinceBoot.end(), name) != kSinceBoot.end();

  layout.size = bytes_size(layout.refs_size);
  if (layout.metadata_size() != 0) layout.size += bytes_size(layout.metadata_size());
  std::size_t boot = 0;
  for (const auto& point : batch.points(row)) {
    layout.size += bytes_size(
        sample_size(point, layout.since_boot ? boot_time_ms(*row.series, point, boot) : 0));
  }
  return layout;
}

std::size_t RequestV2::RowLayout::metadata_size() const {
  return number_size(type) + number_size(help_ref) + number_size(unit_ref);
}

std::uint8_t* RequestV2::write_row(const queue::Batch& batch, const queue::Batch::Row& row,
                                   const RowLayout& layout, std::size_t refs_begin,
                                   std::uint8_t* at) const {
  at = write_length(kSeriesLabelsRefs, layout.refs_size, at);
  for (auto i = refs_begin; i < layout.refs_end; ++i) at = write_varint(refs_[i], at);
  std::size_t boot = 0;
  for (const auto& point : batch.points(row)) {
    const auto start_ms = layout.since_boot ? boot_time_ms(*row.series, point, boot) : 0;
    at = write_length(kSeriesSample, sample_size(point, start_ms), at);
    at = write_double(kSampleValue, point.value, at);
    at = write_number(kSampleTimestamp, point.timestamp_ms, at);
    at = write_number(kSampleStartTimestamp, start_ms, at);
  }
  if (layout.metadata_size() != 0) {
    at = write_length(kSeriesMetadata, layout.metadata_size(), at);
    at = write_number(kMetadataType, layout.type, at);
    at = write_number(kMetadataHelpRef, layout.help_ref, at);
    at = write_number(kMetadataUnitRef, layout.unit_ref, at);
  }
  return at;
}

bool RequestV2::BootTime::is_of(const metrics::Series& series) const {
  return instance == series.labels.get(kInstance) && job == series.labels.get(kJob);
}

void RequestV2::find_boot_times(queue::Batch& batch) {
  boot_times_.clear();
  for (const auto& row : batch.rows()) {
    if (row.series == nullptr) continue;
    const auto& labels = row.series->labels;
    if (labels.get(metrics::kMetricName) != kBootTime) continue;
    for (const auto& point : batch.points(row)) {
      boot_times_.push_back({labels.get(kInstance), labels.get(kJob), point});
    }
  }
  // Two rows of one target where the labels of all series changed.
  std::sort(boot_times_.begin(), boot_times_.end(), [](const BootTime& a, const BootTime& b) {
    return std::tie(a.instance, a.job, a.point.timestamp_ms) <
           std::tie(b.instance, b.job, b.point.timestamp_ms);
  });
}

/// 0 where the point's scrape does not say, or the clock was set back since. `at` is where to go on
/// looking for the next point of a row: 0 for the first.
std::int64_t RequestV2::boot_time_ms(const metrics::Series& series, const queue::Point& point,
                                     std::size_t& at) const {
  if (metrics::is_stale_marker(point.value)) return 0;
  while (at < boot_times_.size() && (!boot_times_[at].is_of(series) ||
                                     boot_times_[at].point.timestamp_ms < point.timestamp_ms)) {
    ++at;
  }
  if (at == boot_times_.size() || boot_times_[at].point.timestamp_ms != point.timestamp_ms) {
    return 0;
  }
  const auto boot_ms = boot_times_[at].point.value * 1e3;
  const bool is_sane = boot_ms >= 1 && boot_ms < static_cast<double>(point.timestamp_ms);
  return is_sane ? static_cast<std::int64_t>(boot_ms) : 0;
}

}  // namespace msp::delivery
