// Relabelling as Prometheus' relabel_config does it
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config): every
// action, with its defaults, its anchored expressions and Go's way to expand a replacement.
//
// Differences: labels whose name begins with "__" are gone afterwards, but for the metric's name, as
// vmagent does it; labelmap makes no name that no label can have; lowercase and uppercase know the
// letters of ASCII, Latin, Greek and Cyrillic.
//
// Rules are plain data, so that two configurations can be compared; a Relabeler is what they become.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/regex.h"
#include "agent/base/result.h"
#include "agent/metrics/labels.h"

namespace msp::metrics {

enum class RelabelAction : int {
  replace,
  keep,
  drop,
  keepequal,
  dropequal,
  hashmod,
  labelmap,
  labeldrop,
  labelkeep,
  lowercase,
  uppercase
};

/// The words of a configuration, in the order of the enumeration.
inline constexpr std::string_view kRelabelActions[] = {
    "replace",  "keep",      "drop",      "keepequal", "dropequal", "hashmod",
    "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"};

inline constexpr std::size_t kSourceLabelsMax = 32;

/// One rule as it is written; what is not set has Prometheus' default.
struct RelabelRule {
  RelabelAction action = RelabelAction::replace;
  std::vector<std::string> source_labels = {};
  std::optional<std::string> separator = {};  // ";"
  std::optional<std::string> regex = {};      // "(.*)"
  std::optional<std::string> target_label = {};
  std::optional<std::string> replacement = {};  // "$1"
  std::uint64_t modulus = 0;
  friend bool operator==(const RelabelRule&, const RelabelRule&) = default;
};

/// What is wrong with a rule: the key it is about, and what was found there and what is accepted.
struct RelabelProblem {
  std::string_view key;
  std::string found;
  std::string accepted;
};

/// As Prometheus checks it; and a rule must leave every sample its name and the labels that say whose
/// it is (kMetricName, customer_id, server_name).
std::optional<RelabelProblem> check_rule(const RelabelRule& rule);

/// May be used from any thread; copies share what was compiled.
class Relabeler {
 public:
  /// Changes nothing.
  Relabeler() = default;
  /// `rules` have passed check_rule().
  explicit Relabeler(const std::vector<RelabelRule>& rules);

  bool empty() const { return rules_.empty(); }

  /// False: the series is dropped.
  bool operator()(std::vector<Label>& labels) const;

 private:
  struct Compiled {
    RelabelRule rule;
    WholeRegex regex;
    bool is_plain_set;
  };

  std::vector<Compiled> rules_;
};

}  // namespace msp::metrics
