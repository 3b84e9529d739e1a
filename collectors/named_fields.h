// The numbers of a file that names them, each a metric whose name ends as theirs:
//   pgfault 1296110              node_vmstat_pgfault
//   TCP: inuse 4 orphan 0 ...    node_sockstat_TCP_inuse, node_sockstat_TCP_orphan
// A field that no metric is for is passed over, whatever it holds.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/vocabulary.h"

namespace msp::collectors {

/// The metrics of such a file, in the order of their names, at most kMax of them.
struct FieldTable {
  std::string_view prefix;  // of all names: "node_sockstat_"
  std::span<const MetricDesc> metrics;

  static constexpr std::size_t kMax = 64;

  constexpr bool is_sorted() const {
    return metrics.size() <= kMax && std::ranges::is_sorted(metrics, {}, &MetricDesc::name);
  }

  /// The metric <prefix><group>_<field>, or <prefix><field> where `group` is empty. Null where there
  /// is none.
  const MetricDesc* find(std::string_view group, std::string_view field) const;
};

/// Which metric the name at each place of a file is for. They are the same ones for as long as the kernel
/// runs: then a name costs one comparison.
class KnownFields {
 public:
  /// Null where no metric of `table` is for it.
  const MetricDesc* at(std::size_t place, const FieldTable& table, std::string_view group,
                       std::string_view field);

 private:
  struct Known {
    std::string name;
    const MetricDesc* metric = nullptr;
  };
  std::vector<Known> fields_;
};

/// Takes the fields of one tick over, each once.
class NamedFields {
 public:
  NamedFields(const FieldTable& table, SeriesWriter& out) : table_(table), out_(out) {}

  /// Returns the number where it was added, times `unit`.
  std::optional<std::uint64_t> add(std::string_view path, std::string_view group,
                                   std::string_view field, std::string_view word,
                                   SeriesWriter::LabelValues labels = {}, double unit = 1);

  /// The same of a metric of the table.
  std::optional<std::uint64_t> add(std::string_view path, const MetricDesc& metric,
                                   std::string_view word, SeriesWriter::LabelValues labels = {},
                                   double unit = 1);

  /// Whether there was a field that a metric is for.
  bool has_found() const { return found_.any(); }

 private:
  const FieldTable& table_;
  SeriesWriter& out_;
  std::bitset<FieldTable::kMax> found_;  // metrics that had their field
};

}  // namespace msp::collectors
