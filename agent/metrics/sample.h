// The nouns of the data path: a Family is a metric's name and meaning, a Series is a family with
// one label set, a Scrape is one value per series at one moment.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/metrics/labels.h"

namespace msp {

enum class MetricType : std::uint8_t { counter, gauge, histogram, summary, untyped };

/// What a collector knows of a metric at compile time. The strings have static storage duration:
/// series that outlive their collector still point at it. docs/metrics.md is made of these, and a
/// test changes what `source` names and looks whether the metric notices.
struct Family {
  std::string_view name;
  std::string_view help;
  std::string_view source;  // what it is read from: "/sys/class/net/DEVICE/mtu, uname(2)"
  MetricType type = MetricType::gauge;
  std::string_view label_names =
      {};  // comma-separated, in the order in which values are given: "cpu,mode"
};

/// The most label names that a family has; a test holds it to them.
inline constexpr std::size_t kFamilyLabelsMax = 9;

/// Immutable once made; shared by every scrape it is in, across threads.
struct Series {
  Labels labels;  // complete: what goes on the wire
  const Family* family =
      nullptr;  // null where only the labels are known (read back from another version's buffer)
};

using SeriesPtr = std::shared_ptr<const Series>;
using SeriesSet = std::vector<SeriesPtr>;

/// The sequence of the scrapes of one source: what a chain of the disk format and "live" go by.
/// Immutable once made; shared by its scrapes.
struct Stream {
  std::string name;  // unique in the agent and the same after a restart: "host", "mysqld/db1:9104"
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

}  // namespace msp
