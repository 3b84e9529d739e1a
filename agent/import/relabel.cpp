#include "agent/import/relabel.h"

#include <algorithm>
#include <utility>

#include "agent/base/regex.h"
#include "agent/base/text.h"
#include "agent/import/label_settings.h"
#include "agent/import/relabel_rule.h"

namespace msp::import {
namespace {

using Kind = Setting::Kind;
using Known = KnownValue::Kind;

constexpr std::string_view kNoFilter =
    "whether it applies is known only when the other agent runs; a filter of ours is a rule under "
    "relabel";

/// The rules of one place, one after the other.
class Relabelling {
 public:
  Relabelling(ConvertContext& context, SampleLabels& labels) : context_(context), labels_(labels) {}

  std::optional<Refusal> apply(Rule& rule) {
    auto& part = rule.part;
    const auto about = cat("'", one_line(rule.action), "'",
                           rule.sources.empty() ? "" : cat(" on ", listed(rule.sources)), ": ");
    if (rule.is_conditional) {
      apply_to_some(rule);
    } else if (rule.action == "replace") {
      replace(rule);
    } else if (is_one_of(rule.action, {"keep", "drop"})) {
      return filter(rule, about);
    } else if (is_one_of(rule.action,
                         {"keepequal", "dropequal", "keep_if_equal", "drop_if_equal"})) {
      return filter_equal(rule, about);
    } else if (is_one_of(rule.action, {"labeldrop", "labelkeep"})) {
      drop_labels(rule, about);
    } else if (rule.action == "labelmap") {
      map_labels(rule, about);
    } else if (is_one_of(rule.action, {"keep_metrics", "drop_metrics", "keep_if_contains",
                                       "drop_if_contains"})) {
      part.left_out("action", cat(about, kNoFilter));
    } else {
      part.left_out("action", cat(about, written(rule), "not carried over from here",
                                  value_before(rule.target)));
      make_unknown(rule, rule.target);
      for (const auto& name : rule.graphite_labels) make_unknown(rule, name);
    }
    return std::nullopt;
  }

 private:
  enum class Match { yes, no, unknown };

  /// vmagent's `if`: what the rule changes is as before on some samples, and changed on others.
  void apply_to_some(Rule& rule) {
    const auto before = labels_;
    rule.is_conditional = false;
    const auto refused = apply(rule);
    std::vector<std::string> changed;
    const auto compare = [&](const SampleLabels& some, const SampleLabels& others) {
      for (const auto& label : some.all()) {
        const auto* const other = others.find(label.name);
        const bool is_same =
            other != nullptr && other->text == label.text && other->value == label.value;
        if (!is_same && std::find(changed.begin(), changed.end(), label.name) == changed.end())
          changed.push_back(label.name);
      }
    };
    compare(labels_, before);
    compare(before, labels_);
    const auto what =
        refused ? std::string("takes samples away") : cat("changes the labels ", listed(changed));
    rule.part.left_out("if", cat("a rule for some samples only, which ", what, ""));
    for (const auto& name : changed) make_unknown(rule, name);
  }

  /// What the source labels say, joined.
  KnownValue source(const Rule& rule) const {
    KnownValue joined{Known::exact};
    for (std::size_t i = 0; i < rule.sources.size(); ++i) {
      const auto value = labels_.value_of(rule.sources[i]);
      if (i > 0) joined.text += rule.separator;
      joined.text += value.text;
      if (value.kind == Known::exact) continue;
      if (joined.kind == Known::exact) joined.kind = Known::unknown;
      if (value.kind == Known::not_empty) joined.kind = Known::not_empty;
    }
    if (joined.kind == Known::unknown && !joined.text.empty()) joined.kind = Known::not_empty;
    return joined;
  }

  Match match(const Rule& rule) const {
    if (!rule.regex) return Match::unknown;
    const auto value = source(rule);
    if (value.kind == Known::exact) {
      const auto regex = WholeRegex::compile(*rule.regex);
      if (!regex) return Match::unknown;
      return regex->matches(value.text) ? Match::yes : Match::no;
    }
    const bool is_sure = value.kind == Known::not_empty ? matches_all_but_empty(*rule.regex)
                                                        : matches_all(*rule.regex);
    return is_sure ? Match::yes : Match::unknown;
  }

  static std::string written(const Rule& rule) {
    auto names = rule.graphite_labels;
    if (!rule.target.empty()) names.push_back(rule.target);
    std::string text;
    for (const auto& name : names) text += cat("makes the label ", quoted(name), "; ");
    return text;
  }

  /// What is lost with a label that becomes unknown.
  std::string value_before(std::string_view name) const {
    const auto* const label = labels_.find(name);
    if (label == nullptr || !label->is_known() || name.starts_with("__")) return "";
    const bool is_text = label->value == ImportedLabel::Value::text;
    return cat("; ", is_text ? quoted(label->text) : std::string("what it was before"),
               " is not written either");
  }

  void make_unknown(const Rule& rule, std::string_view name) {
    if (name.empty() || name.find('$') != name.npos) return;
    labels_.set({std::string(name), "", rule.part.at(), ImportedLabel::Value::unknown});
  }

  void replace(Rule& rule) {
    auto& part = rule.part;
    if (rule.target.empty()) return part.left_out("target_label", "the rule names no label");
    if (rule.target.find('$') != std::string::npos) {
      return part.left_out("target_label", cat(quoted(rule.target),
                                               ": a label whose name is made out of others; "
                                               "no rule that is known"));
    }
    const auto applies = match(rule);
    if (applies == Match::no) {
      return part.different("target_label", cat("the rule for ", quoted(rule.target),
                                                " has no effect on this host's samples"));
    }
    const auto replacement = replacement_of(rule);
    if (applies == Match::yes) {
      if (replacement == Replacement::constant) return set_constant(rule);
      const bool is_copy =
          replacement == Replacement::whole_match ||
          (replacement == Replacement::first_group && first_group_is_all(*rule.regex));
      const bool is_empty = rule.sources.empty() || (replacement == Replacement::first_group &&
                                                     rule.regex->find('(') == std::string::npos);
      if (replacement != Replacement::groups && is_empty) return remove(rule, rule.target);
      if (is_copy && rule.sources.size() == 1) return copy(rule);
    }
    part.left_out("target_label",
                  cat("makes the label ", quoted(rule.target), " out of others",
                      rule.sources.empty() ? "" : cat(" (", listed(rule.sources), ")"), "",
                      value_before(rule.target)));
    make_unknown(rule, rule.target);
  }

  void set_constant(Rule& rule) {
    const auto& value = *rule.replacement;
    if (value.is(Kind::text) && value.text.empty()) return remove(rule, rule.target);
    add_label(rule.target, value, rule.part.at(), context_, labels_);
    overwrite(rule.target);
  }

  /// A rule behind the scrape writes over a metric's own label.
  void overwrite(std::string_view name) {
    const auto* const label = labels_.find(name);
    if (label == nullptr || labels_.stage() == SampleLabels::Stage::target) return;
    auto changed = *label;
    changed.own = ImportedLabel::OwnLabel::is_overwritten;
    labels_.set(std::move(changed));
  }

  void copy(Rule& rule) {
    const auto& from = rule.sources.front();
    const auto* const label = labels_.find(from);
    if (label != nullptr && label->is_known()) {
      auto copied = *label;
      copied.name = rule.target;
      copied.at = rule.part.at();
      put_label(std::move(copied));
      return overwrite(rule.target);
    }
    if (label == nullptr && labels_.value_of(from).is_exactly("")) return remove(rule, rule.target);
    rule.part.left_out(
        "source_labels",
        cat("copies the label ", quoted(from), " to ", quoted(rule.target),
            label != nullptr ? cat(", which line ", label->at.line, " makes out of others") : "",
            "", value_before(rule.target)));
    make_unknown(rule, rule.target);
  }

  void put_label(ImportedLabel label) {
    Setting value;
    if (label.value == ImportedLabel::Value::text) {
      value.kind = Kind::text;
      value.text = label.text;
      return add_label(label.name, value, label.at, context_, labels_);
    }
    value.kind = Kind::host_name;  // for its checks of the name
    add_label(label.name, value, label.at, context_, labels_);
    if (labels_.find(label.name) != nullptr) labels_.set(std::move(label));
  }

  /// Takes a label away. msp-agent's own and those of metrics stay.
  void remove(Rule& rule, const std::string& name) {
    const bool is_behind = labels_.stage() == SampleLabels::Stage::sample;
    if (name == "job" || (is_behind && name == "instance")) {
      labels_.erase(name);
      return rule.part.left_out("target_label", cat("takes the label ", quoted(name),
                                                    " away; msp-agent always sends it"));
    }
    const bool was_there = labels_.find(name) != nullptr;
    labels_.erase(name);
    if (is_behind && is_label_of_metrics(name)) {
      rule.part.left_out("target_label", cat("takes the label ", quoted(name),
                                             " away; msp-agent takes none from a metric"));
    } else if (!was_there) {
      rule.part.different("target_label",
                          cat("takes the label ", quoted(name), " away, which no sample has"));
    }
  }

  Refusal refusal(const Rule& rule) const {
    const auto value = source(rule);
    const auto has = value.kind != Known::exact ? std::string("any value")
                     : value.text.empty()       ? std::string("none")
                                                : quoted(value.text);
    return {rule.part.at(),
            cat("'", one_line(rule.action), "' of samples whose ", listed(rule.sources),
                " matches ", quoted(rule.regex.value_or("")), ", and this host's have ", has)};
  }

  std::optional<Refusal> filter(Rule& rule, std::string_view about) {
    auto matched = match(rule);
    const bool is_on_name = rule.sources == std::vector<std::string>{"__name__"};
    if (matched == Match::unknown && is_on_name && rule.regex && matches_no_metric(*rule.regex)) {
      matched = Match::no;
    }
    if (matched == Match::unknown) {
      rule.part.left_out("action", cat(about, kNoFilter));
      return std::nullopt;
    }
    if ((matched == Match::yes) == rule.keeps()) return std::nullopt;
    return refusal(rule);
  }

  std::optional<Refusal> filter_equal(Rule& rule, std::string_view about) {
    auto names = rule.sources;
    if (!rule.target.empty()) {  // Prometheus compares the joined sources with it, vmagent each
      if (names.size() != 1) names.clear();
      names.push_back(rule.target);
    }
    bool is_known = names.size() > 1;
    bool is_equal = true;
    std::string values;
    for (const auto& name : names) {
      const auto value = labels_.value_of(name);
      is_known = is_known && value.kind == Known::exact;
      is_equal = is_equal && value.text == labels_.value_of(names.front()).text;
      values += cat(values.empty() ? "" : ", ", quoted(value.text));
    }
    if (!is_known) {
      rule.part.left_out("action", cat(about, kNoFilter));
      return std::nullopt;
    }
    if (is_equal == rule.keeps()) return std::nullopt;
    return Refusal{rule.part.at(), cat("'", rule.action, "' compares ", listed(names),
                                       ", which are ", values, " on this host's samples")};
  }

  /// Whether `regex` matches the name; nothing where it is no expression.
  std::optional<bool> matches_name(const Rule& rule, std::string_view name) const {
    if (!rule.regex) return std::nullopt;
    const auto regex = WholeRegex::compile(*rule.regex);
    if (!regex) return std::nullopt;
    return regex->matches(name);
  }

  void drop_labels(Rule& rule, std::string_view about) {
    const bool drops = rule.action == "labeldrop";
    if (!matches_name(rule, "x")) {
      return rule.part.left_out("regex", cat(about, "no rule that is known"));
    }
    const auto is_taken = [&](std::string_view name) { return *matches_name(rule, name) == drops; };
    const bool is_behind = labels_.stage() == SampleLabels::Stage::sample;
    std::string kept;
    const auto keep = [&](std::string_view name) { kept += cat(kept.empty() ? "" : ", ", name); };
    const auto all = labels_.all();
    for (const auto& label : all) {
      if (label.name.starts_with("__") || !is_taken(label.name)) continue;
      labels_.erase(label.name);
      if (label.name == "job" || (is_behind && label.name == "instance")) keep(label.name);
    }
    if (is_behind) {
      // The labels that most metrics have; the others are too many to be listed.
      for (const std::string_view name : {"cpu", "mode", "device", "fstype", "mountpoint"}) {
        if (is_taken(name)) keep(name);
      }
      if (kept.empty() && takes_other_labels(is_taken)) keep("some that only a few metrics have");
    }
    if (kept.empty()) return;
    rule.part.left_out("action", cat(about, "takes labels away that msp-agent sends: ", kept,
                                     "; do it at the centre"));
  }

  template <typename IsTaken>
  static bool takes_other_labels(const IsTaken& is_taken) {
    const auto names = labels_of_metrics();
    return std::any_of(names.begin(), names.end(), is_taken);
  }

  void map_labels(Rule& rule, std::string_view about) {
    if (!matches_name(rule, "x")) {
      return rule.part.left_out("action", cat(about, "no rule that is known"));
    }
    const auto regex = *WholeRegex::compile(*rule.regex);
    const auto all = labels_.all();
    for (const auto& label : all) {
      if (!regex.matches(label.name)) continue;
      const auto name = expanded(rule, regex, label.name);
      if (!name) {
        rule.part.left_out("action", cat(about, "copies the label ", quoted(label.name),
                                         " to one whose name only the other agent makes"));
        continue;
      }
      auto copied = label;
      copied.name = *name;
      copied.at = rule.part.at();
      if (label.is_known()) {
        put_label(std::move(copied));
        overwrite(*name);
        continue;
      }
      rule.part.left_out("action", cat(about, "copies the label ", quoted(label.name), " to ",
                                       quoted(*name), ", which line ", label.at.line,
                                       " makes out of others", value_before(*name)));
      make_unknown(rule, *name);
    }
    if (labels_.stage() == SampleLabels::Stage::target) return;
    const auto names = labels_of_metrics();
    const bool maps_own = std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return *matches_name(rule, name);
    });
    if (maps_own) {
      rule.part.left_out("action", cat(about, "copies labels of metrics"));
    }
  }

  ConvertContext& context_;
  SampleLabels& labels_;
};

}  // namespace

namespace {

/// Whether the rule belongs to who the server is, which no rule of ours can write.
bool writes_identity(const Rule& rule) {
  return is_one_of(rule.target, {"customer_id", "server_name"}) &&
         !is_one_of(rule.action, {"keepequal", "dropequal"});
}

/// One value for every sample, whatever target it is of.
bool is_constant(const Rule& rule) {
  return rule.action == "replace" && rule.sources.empty() && !rule.is_conditional && rule.regex &&
         matches_all(*rule.regex) && replacement_of(rule) == Replacement::constant;
}

/// Whether all that the rule does to the samples of this host can be said by labels.
bool is_settled(const Setting& setting, std::string_view what, const ConvertContext& context,
                SampleLabels labels) {
  Notes notes;
  ConvertContext trial{notes, context.env, context.named_files};
  auto rule = read_rule(setting, what, trial);
  if (is_constant(rule) && is_label_of_metrics(rule.target)) return false;
  Relabelling(trial, labels).apply(rule);
  const auto told = notes.sorted();
  return std::none_of(told.begin(), told.end(),
                      [](const Note& note) { return note.kind == Note::Kind::left_out; });
}

void carry(Rule& rule, ImportedRules& rules) {
  std::string why;
  if (auto ours = our_rule(rule, why)) {
    rules.push_back({std::move(*ours), rule.part.at()});
  } else {
    rule.part.left_out(
        "action", cat("'", one_line(rule.action), "'",
                      rule.sources.empty() ? "" : cat(" on ", listed(rule.sources)), ": ", why));
  }
}

}  // namespace

ImportedRules carry_rules(const std::vector<const Setting*>& rules, std::string_view what,
                          ConvertContext& context) {
  ImportedRules carried;
  for (const auto* const setting : rules) {
    auto rule = read_rule(*setting, what, context);
    if (writes_identity(rule)) {
      rule.part.different("target_label", cat(rule.target, " is the agent's own on all samples"));
    } else {
      carry(rule, carried);
    }
  }
  return carried;
}

std::optional<Refusal> apply_rules(const std::vector<const Setting*>& rules, std::string_view what,
                                   ConvertContext& context, SampleLabels& labels,
                                   const CarriedRules* carried) {
  Relabelling relabelling(context, labels);
  bool has_begun = false;
  std::vector<std::string> read;  // by carried filters: what is known of them must not change
  const auto is_unknown = [&](const std::string& name) {
    const auto* const label = labels.find(name);
    return label != nullptr && !label->is_known();
  };
  for (const auto* const setting : rules) {
    auto rule = read_rule(*setting, what, context);
    const bool is_read = std::find(read.begin(), read.end(), rule.target) != read.end();
    std::string why;
    const bool is_here = carried == nullptr || writes_identity(rule) || !our_rule(rule, why) ||
                         std::ranges::any_of(rule.sources, is_unknown) ||
                         (!has_begun && !is_read && (!carried->has_others || is_constant(rule)) &&
                          is_settled(*setting, what, context, labels));
    if (!is_here) {
      if (is_one_of(rule.action, {"keep", "drop"})) {
        read.insert(read.end(), rule.sources.begin(), rule.sources.end());
      } else {
        has_begun = true;
      }
      const auto* const instance = labels.find("instance");
      if (instance != nullptr && instance->value == ImportedLabel::Value::address &&
          std::ranges::find(rule.sources, "instance") != rule.sources.end()) {
        rule.part.different("source_labels",
                            cat("reads the label 'instance', which was ", quoted(instance->text),
                                " and is the host's name"));
      }
      carry(rule, carried->rules);
    } else if (auto refused = relabelling.apply(rule)) {
      return refused;
    }
  }
  return std::nullopt;
}

}  // namespace msp::import
