// The nouns of the data path: a MetricDesc is a metric's name and meaning, a Series is a metric with
// one label set, a Scrape is one value per series at one moment.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/metrics/labels.h"

namespace msp::metrics {

enum class MetricType : std::uint8_t { counter, gauge, histogram, summary, untyped };

/// As the text exposition format has it: "counter", "gauge" ...
std::string_view metric_type_name(MetricType type);

/// Text of the pages. The binary that is shipped does without, as with MSP_AGENT_HELP's other texts.
#ifdef MSP_AGENT_HELP
using PageText = std::string_view;
#else
struct PageText {
  constexpr PageText() = default;
  constexpr PageText(const auto&) {}
  constexpr operator std::string_view() const { return {}; }
};
#endif

/// What is known of a metric. A collector's are constexpr, with strings of static storage duration;
/// what comes from outside is made by make_desc(). docs/metrics.md is made of the former, and a test
/// changes what `source` names and looks whether the metric notices.
struct MetricDesc {
  std::string_view name;  // of a histogram or summary without _bucket, _sum, _count
  std::string_view help;
  // What it is read from: "/sys/class/net/DEVICE/mtu, uname(2)".
  [[no_unique_address]] PageText source = {};
  MetricType type = MetricType::gauge;
  std::string_view label_names = {};  // comma-separated, in the order of the values: "cpu,mode"
};

/// The most label names that a collector's metric has; a test holds it to them.
inline constexpr std::size_t kFamilyLabelsMax = 20;

/// Points at a MetricDesc that is static, or owned by those that point at it, or at none.
class DescPtr {
 public:
  DescPtr() = default;
  DescPtr(std::nullptr_t) {}
  /// `desc` has static storage duration: series outlive their collector.
  DescPtr(const MetricDesc* desc) : desc_(std::shared_ptr<const void>(), desc) {}
  explicit DescPtr(std::shared_ptr<const MetricDesc> desc) : desc_(std::move(desc)) {}

  const MetricDesc* get() const { return desc_.get(); }
  const MetricDesc& operator*() const { return *desc_; }
  const MetricDesc* operator->() const { return desc_.get(); }
  explicit operator bool() const { return desc_ != nullptr; }
  friend bool operator==(const DescPtr& a, const MetricDesc* b) { return a.get() == b; }

 private:
  std::shared_ptr<const MetricDesc> desc_;
};

/// One that owns its strings: name and help are made UTF-8.
DescPtr make_desc(std::string name, std::string help, MetricType type);

/// Immutable once made; shared by every scrape it is in, across threads.
struct Series {
  Labels labels;  // complete: what goes on the wire
  DescPtr desc;   // none where only the labels are known (read back from the buffer)
};

using SeriesPtr = std::shared_ptr<const Series>;
using SeriesSet = std::vector<SeriesPtr>;

/// The sequence of the scrapes of one source: what a chain of the disk format and "live" go by.
/// Immutable once made; shared by its scrapes.
struct Stream {
  std::string name;  // unique in the agent and the same after a restart: "host", "mysqld/db1:9104"
  bool is_backlog = false;  // what it has was old when it came: it is never of the live lane
};
using StreamPtr = std::shared_ptr<const Stream>;

/// One tick's samples. As long as no series comes or goes, scrapes share one SeriesSet, so that a
/// scrape in memory is its values and nothing more.
struct Scrape {
  std::int64_t timestamp_ms = 0;  // wall clock, read once for all samples
  std::shared_ptr<const SeriesSet> series;
  std::vector<double> values;  // values[i] belongs to (*series)[i]
  StreamPtr stream = nullptr;  // null: the stream whose name is empty
};

/// The NaN that ends a series (remote write 1.0 specification, "Stale Markers"); compare bits, not
/// values.
inline constexpr std::uint64_t kStaleNanBits = 0x7ff0000000000002;
inline double stale_marker() {
  return std::bit_cast<double>(kStaleNanBits);
}
inline bool is_stale_marker(double value) {
  return std::bit_cast<std::uint64_t>(value) == kStaleNanBits;
}

}  // namespace msp::metrics
