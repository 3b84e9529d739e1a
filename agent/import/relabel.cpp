#include "agent/import/relabel.h"

#include <algorithm>
#include <optional>
#include <string>

#include "agent/base/text.h"
#include "agent/metrics/labels.h"

namespace msp {
namespace {

using Kind = Setting::Kind;

/// Whether `regex`, which is anchored at both ends, matches every value, an empty one included.
bool matches_all(std::string_view regex) {
  constexpr std::string_view kAll[] = {"", ".*", "(.*)", "^.*$$", "^(.*)$$", "(?s).*", "(?s)(.*)"};
  return std::find(std::begin(kAll), std::end(kAll), regex) != std::end(kAll);
}

/// Whether `regex` matches every value that is not empty.
bool matches_any_value(std::string_view regex) {
  constexpr std::string_view kSome[] = {".+", "(.+)", "^.+$$", "^(.+)$$"};
  return matches_all(regex) ||
         std::find(std::begin(kSome), std::end(kSome), regex) != std::end(kSome);
}

/// Whether every sample has the label `name`, and not empty.
bool is_everywhere(const DraftLabels& labels, std::string_view name) {
  constexpr std::string_view kAlways[] = {"__name__", "__address__", "instance", "job"};
  return find_label(labels, name) != nullptr ||
         std::find(std::begin(kAlways), std::end(kAlways), name) != std::end(kAlways);
}

struct Rule {
  Part part;
  std::string action;
  std::vector<std::string> sources;
  std::string target;
  std::string regex;
  const Setting* replacement = nullptr;
};

Rule read_rule(const Setting& setting, std::string_view what, ConvertContext& context) {
  Rule rule{Part(&setting, std::string(what), context), "replace", {}, "", "(.*)", nullptr};
  auto& part = rule.part;
  if (const auto action = part.text("action")) rule.action = *action;
  std::transform(rule.action.begin(), rule.action.end(), rule.action.begin(), [](char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  rule.sources = part.texts("source_labels");
  if (const auto target = part.text("target_label")) rule.target = *target;
  if (const auto* const regex = part.find("regex")) {
    std::string why;
    rule.regex = text_of(*regex, why).value_or("?");  // no expression: matches nothing known
  }
  rule.replacement = part.find("replacement");
  part.find("separator");
  part.find("modulus");
  part.finish();
  return rule;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += cat(text.empty() ? "" : ", ", one_line(name));
  return text;
}

/// A rule that is not `replace`.
void name_other_action(Rule& rule) {
  auto& part = rule.part;
  const auto about = cat("'", one_line(rule.action), "'",
                         rule.sources.empty() ? "" : cat(" on ", listed(rule.sources)), ": ");
  if (rule.action == "drop" || rule.action == "keep") {
    part.left_out(
        "action",
        cat(about, "msp-agent filters no samples; leave out what is not wanted where it ",
            "is collected: collectors.disabled, the devices of netdev and diskstats, the ",
            "mount points and types of filesystem; or relabel at the centre"));
  } else {
    part.left_out("action", cat(about, "msp-agent does not relabel; do it at the centre"));
  }
}

/// What a rule without source labels, or with ones that do not matter, writes.
void replace_by_constant(Rule& rule, ConvertContext& context, DraftLabels& labels) {
  const auto& value = *rule.replacement;
  if (value.is(Kind::text) && value.text.empty()) {
    rule.part.left_out("target_label", cat("takes the label ", quoted(rule.target),
                                           " away; msp-agent removes no labels"));
    return;
  }
  add_label(rule.target, value, rule.part.at(), context, labels);
}

/// What a rule that copies one label to another writes.
void copy_label(Rule& rule, ConvertContext& context, DraftLabels& labels) {
  const auto& source = rule.sources.front();
  Setting value;
  if (const auto* const label = find_label(labels, source)) {
    value.kind = label->is_host_name ? Kind::host_name : Kind::text;
    value.text = label->text;
  } else if (source == "instance") {
    value.kind = Kind::host_name;
  } else {
    rule.part.left_out("source_labels", cat("copies the label ", quoted(source), " to ",
                                            quoted(rule.target), "; msp-agent does not relabel"));
    return;
  }
  value.at = rule.part.at();
  add_label(rule.target, value, rule.part.at(), context, labels);
}

void apply_replace(Rule& rule, ConvertContext& context, DraftLabels& labels) {
  auto& part = rule.part;
  if (rule.target.empty()) return part.left_out("target_label", "the rule names no label");
  const auto* const value = rule.replacement;
  const bool copies = value == nullptr ||
                      (value->is(Kind::text) && (value->text == "$$1" || value->text == "$${1}"));
  const bool has_group =
      value != nullptr && value->is(Kind::text) && value->text.find("$$") != std::string::npos;
  const bool has_value =
      std::any_of(rule.sources.begin(), rule.sources.end(),
                  [&](const std::string& name) { return is_everywhere(labels, name); });
  const bool applies_always = has_value ? matches_any_value(rule.regex) : matches_all(rule.regex);
  if (!applies_always || (copies && rule.sources.size() != 1) || (has_group && !copies)) {
    part.left_out("target_label",
                  cat("makes the label ", quoted(rule.target), " out of others",
                      rule.sources.empty() ? "" : cat(" (", listed(rule.sources), ")"),
                      "; msp-agent does not relabel"));
  } else if (copies) {
    copy_label(rule, context, labels);
  } else {
    replace_by_constant(rule, context, labels);
  }
}

}  // namespace

void add_label(std::string_view name, const Setting& value, const Place& at,
               ConvertContext& context, DraftLabels& labels) {
  constexpr std::size_t kValueBytesMax = 1024;
  const auto named = cat("the label ", quoted(name));
  if (name.starts_with("__") || !is_label_name(name)) {
    context.notes.left_out(at, cat(named, ": msp-agent cannot set it; accepted: letters, digits ",
                                   "and '_', no digit first and not '__' either"));
    return;
  }
  std::string why;
  const auto text = text_of(value, why);
  const bool is_host_name = value.is(Kind::host_name);
  if (!text && !is_host_name) {
    context.notes.left_out(at, cat(named, ": ", why));
    return;
  }
  if (text && text->empty()) return;  // an empty label is none, there as here
  if (const auto known = text ? context.env.expand(*text) : std::nullopt;
      known && known->size() > kValueBytesMax) {
    context.notes.left_out(at,
                           cat(named, ": ", known->size(), " bytes; at most 1024 are accepted"));
    return;
  }
  set_label(labels, {std::string(name), text.value_or(""), at, is_host_name});
}

void add_labels(Part& part, std::string_view key, LabelUse use, ConvertContext& context,
                DraftLabels& labels) {
  const auto* const setting = part.find(key);
  if (setting == nullptr || setting->is(Kind::empty)) return;
  if (!setting->is(Kind::mapping)) {
    std::string why = "not a mapping of names to values";
    text_of(*setting, why);
    return part.left_out(key, why);
  }
  for (const auto& [name, at, value] : setting->entries) {
    if (name.starts_with("__")) continue;
    if (use == LabelUse::gives_way && find_label(labels, name) != nullptr) continue;
    add_label(name, value, at, context, labels);
  }
}

void apply_rules(const std::vector<const Setting*>& rules, std::string_view what,
                 ConvertContext& context, DraftLabels& labels) {
  for (const auto* const setting : rules) {
    auto rule = read_rule(*setting, what, context);
    if (rule.action == "replace") {
      apply_replace(rule, context, labels);
    } else {
      name_other_action(rule);
    }
  }
}

}  // namespace msp
