// One relabelling rule as Prometheus, Alloy and vmagent read it, and what its expression and its
// replacement say by themselves.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/regex.h"
#include "agent/import/mapping_reader.h"
#include "agent/metrics/relabel.h"

namespace msp::import {

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words);

/// With the defaults of Prometheus, which are Alloy's too.
struct Rule {
  MappingReader part;
  std::string action = "replace";  // in lower case
  std::vector<std::string> sources = {};
  std::string separator = ";";
  std::string target = {};
  std::optional<std::string> regex = "(.*)";  // nothing: not known before the agent runs
  const Setting* replacement = nullptr;       // null: the first group
  std::string modulus = {};
  bool is_conditional = false;                    // vmagent's `if`
  std::vector<std::string> graphite_labels = {};  // what vmagent's graphite writes

  bool keeps() const { return is_one_of(action, {"keep", "keepequal", "keep_if_equal"}); }
};

/// The rule as one of ours; nothing, and why, where there is none that does the same.
std::optional<metrics::RelabelRule> our_rule(const Rule& rule, std::string& why);

Rule read_rule(const Setting& setting, std::string_view what, ConvertContext& context);

/// What a replacement is made of. One that is no text counts as constant.
enum class Replacement { whole_match, first_group, groups, constant };
Replacement replacement_of(const Rule& rule);

/// The replacement with the groups of `text` in their places; nothing where the expression does not
/// match, or the replacement has vmagent's {{..}} or variables in it.
std::optional<std::string> expanded(const Rule& rule, const WholeRegex& regex,
                                    std::string_view text);

/// Whether `regex` matches every text, an empty one included.
bool matches_all(std::string_view regex);

/// Whether `regex` matches every text that is not empty.
bool matches_all_but_empty(std::string_view regex);

/// Whether `regex` matches every text that is not empty, and its first group is all of it.
bool first_group_is_all(std::string_view regex);

/// Whether it is certain that `regex` matches the name of no metric that msp-agent sends: of each of
/// its alternatives the beginning is known, and is that of none, such as go_.*|promhttp_.*.
bool matches_no_metric(std::string_view regex);

}  // namespace msp::import
