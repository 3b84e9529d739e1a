#include "agent/import/relabel_rule.h"

#include <algorithm>

#include "agent/base/text.h"
#include "agent/config/validators.h"

namespace msp::import {
namespace {

using Kind = Setting::Kind;

/// vmagent takes a list of expressions, any of which may match.
std::optional<std::string> regex_of(const Setting& setting) {
  std::string why;
  if (!setting.is(Kind::list)) {
    const auto text = text_of(setting, why);
    return text ? without_variables(*text) : std::nullopt;
  }
  std::string all;
  for (const auto& item : setting.items) {
    const auto text = text_of(item, why);
    const auto plain = text ? without_variables(*text) : std::nullopt;
    if (!plain) return std::nullopt;
    all += cat(all.empty() ? "" : "|", "(?:", *plain, ")");
  }
  return all;
}

}  // namespace

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Rule read_rule(const Setting& setting, std::string_view what, ConvertContext& context) {
  Rule rule{MappingReader(&setting, std::string(what), context)};
  auto& part = rule.part;
  if (const auto action = part.text("action")) rule.action = lower_case(*action);
  rule.sources = part.texts("source_labels");
  if (const auto separator = part.text("separator")) rule.separator = *separator;
  if (const auto target = part.text("target_label")) rule.target = *target;
  const auto* const regex = part.find("regex");
  if (regex != nullptr && !regex->is(Kind::empty)) rule.regex = regex_of(*regex);
  const auto* const replacement = part.find("replacement");
  if (replacement != nullptr && !replacement->is(Kind::empty)) rule.replacement = replacement;
  rule.is_conditional = part.find("if") != nullptr;
  if (const auto modulus = part.text("modulus")) rule.modulus = *modulus;
  if (rule.action == "graphite") {
    part.find("match");
    if (const auto* const labels = part.find("labels"); labels != nullptr) {
      for (const auto& entry : labels->entries) rule.graphite_labels.push_back(entry.key);
    }
  }
  part.finish();
  return rule;
}

std::optional<metrics::RelabelRule> our_rule(const Rule& rule, std::string& why) {
  std::string action = rule.action;
  metrics::RelabelRule out;
  out.source_labels = rule.sources;
  if (is_one_of(action, {"keep_metrics", "drop_metrics"})) {  // vmagent's
    action = action.substr(0, 4);
    out.source_labels = {"__name__"};
  } else if (is_one_of(action, {"keep_if_equal", "drop_if_equal"}) && rule.sources.size() == 2) {
    action = cat(action.substr(0, 4), "equal");
    out.target_label = rule.sources.back();
    out.source_labels.pop_back();
  }
  const auto* const word = std::ranges::find(metrics::kRelabelActions, action);
  if (rule.is_conditional || word == std::end(metrics::kRelabelActions)) {
    why = cat(rule.is_conditional ? "a rule for some samples only" : "such an action",
              ", which only vmagent knows");
    return std::nullopt;
  }
  if (out.source_labels.size() > metrics::kSourceLabelsMax ||
      !std::ranges::all_of(out.source_labels, metrics::is_label_name)) {
    why = cat("source_labels that are not up to ", metrics::kSourceLabelsMax, " names of labels");
    return std::nullopt;
  }
  out.action = static_cast<metrics::RelabelAction>(word - std::begin(metrics::kRelabelActions));
  const bool takes_regex = !action.ends_with("equal");
  const auto target = without_variables(rule.target);
  const auto separator = without_variables(rule.separator);
  std::optional<std::string> replacement = "$1";
  if (rule.replacement != nullptr) {
    const auto text = text_of(*rule.replacement, why);
    replacement = text ? without_variables(*text) : std::nullopt;
  }
  if (!target || !separator || !replacement || (takes_regex && !rule.regex)) {
    if (why.empty()) why = "a variable in it, which no rule of msp-agent has";
    return std::nullopt;
  }
  if (replacement->find("{{") != std::string::npos) {
    why = "a {{label}} in its replacement, which only vmagent knows";
    return std::nullopt;
  }
  if (takes_regex && *rule.regex != "(.*)") out.regex = *rule.regex;
  if (action == "labelkeep")
    out.regex = cat("(?:", *rule.regex, ")|__name__|customer_id|server_name");
  if (!target->empty()) out.target_label = *target;
  if (*separator != ";") out.separator = *separator;
  if (*replacement != "$1") out.replacement = *replacement;
  out.modulus = parse_number<std::uint64_t>(rule.modulus).value_or(0);
  if (const auto problem = metrics::check_rule(out)) {
    why = cat(problem->key, ": ", problem->found, "; accepted: ", problem->accepted);
    return std::nullopt;
  }
  return out;
}

Replacement replacement_of(const Rule& rule) {
  if (rule.replacement == nullptr) return Replacement::first_group;
  const auto& value = *rule.replacement;
  if (!value.is(Kind::text)) return Replacement::constant;
  if (is_one_of(value.text, {"$$1", "$${1}"})) return Replacement::first_group;
  if (is_one_of(value.text, {"$$0", "$${0}"})) return Replacement::whole_match;
  const bool has_group = value.text.find("$$") != std::string::npos;
  const bool has_label = value.text.find("{{") != std::string::npos;  // vmagent's
  return has_group || has_label ? Replacement::groups : Replacement::constant;
}

std::optional<std::string> expanded(const Rule& rule, const WholeRegex& regex,
                                    std::string_view text) {
  const bool is_default = rule.replacement == nullptr;
  if (!is_default && !rule.replacement->is(Kind::text)) return std::nullopt;
  const auto all = is_default ? std::string("$1") : without_variables(rule.replacement->text);
  if (!all || all->find("{{") != std::string::npos) return std::nullopt;
  return regex.expand(text, *all);
}

bool matches_all(std::string_view regex) {
  return is_one_of(regex, {".*", "(.*)", "^.*$", "^(.*)$", "(?s).*", "(?s)(.*)"});
}

bool matches_all_but_empty(std::string_view regex) {
  return matches_all(regex) || is_one_of(regex, {".+", "(.+)", "^.+$", "^(.+)$"});
}

bool first_group_is_all(std::string_view regex) {
  return regex.find('(') != regex.npos && matches_all_but_empty(regex) && regex != "(?s).*";
}

bool matches_no_metric(std::string_view regex) {
  constexpr std::string_view kBeginnings[] = {"node_", "msp_agent_", "scrape_", "up"};
  constexpr std::string_view kName =
      "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:";
  if (regex.find_first_of("()[]{}\\") != regex.npos) return false;  // no plain list of alternatives
  do {
    const auto end = std::min(regex.find('|'), regex.size());
    auto one = regex.substr(0, end);
    regex.remove_prefix(std::min(end + 1, regex.size()));
    if (one.starts_with('^')) one.remove_prefix(1);
    auto begin = one.substr(0, one.find_first_not_of(kName));
    // Of "ab?", "ab*" only the "a" is certain.
    if (begin.size() < one.size() && std::string_view("?*").find(one[begin.size()]) != one.npos) {
      begin.remove_suffix(begin.empty() ? 0 : 1);
    }
    const bool may_be_ours = std::any_of(
        std::begin(kBeginnings), std::end(kBeginnings),
        [&](std::string_view ours) { return ours.starts_with(begin) || begin.starts_with(ours); });
    if (may_be_ours) return false;
  } while (!regex.empty());
  return true;
}

}  // namespace msp::import
