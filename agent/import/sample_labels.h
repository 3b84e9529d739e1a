// The labels of this host's samples at one point of their way through another agent: first those of
// the target that is scraped, then those of every sample of it. What is not known before that agent
// runs says so, and stays unknown whatever is made of it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/import/imported_config.h"

namespace msp::import {

/// What is known of a label's value.
struct KnownValue {
  enum class Kind {
    exact,      // `text`; empty: no sample has the label
    not_empty,  // every sample has it
    unknown,
  };
  Kind kind = Kind::unknown;
  std::string text = {};

  bool is_exactly(std::string_view value) const { return kind == Kind::exact && text == value; }
};

/// The names of the labels that metrics of node_exporter have by themselves.
std::span<const std::string_view> labels_of_metrics();
bool is_label_of_metrics(std::string_view name);

class SampleLabels {
 public:
  enum class Stage {
    target,  // before the scrape: no sample yet, and names that begin with '__' are of use
    sample,  // behind it: metrics have labels of their own, too
  };

  Stage stage() const { return stage_; }
  const ImportedLabels& all() const { return labels_; }
  const ImportedLabel* find(std::string_view name) const { return find_label(labels_, name); }
  KnownValue value_of(std::string_view name) const;

  /// In the place of one of its name.
  void set(ImportedLabel label);
  void erase(std::string_view name);

  /// What is set from here on is on the samples of other targets, too.
  void end_of_host();

  /// What a scrape does with a target's labels: the address as instance where there is none, nothing
  /// that begins with '__'. With `honors_labels` a metric's own labels are stronger than these.
  void scrape(bool honors_labels);

 private:
  ImportedLabels labels_;
  Stage stage_ = Stage::target;
};

}  // namespace msp::import
