#include "agent/metrics/relabel.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/base/md5.h"
#include "agent/base/text.h"

namespace msp::metrics {
namespace {

using Action = RelabelAction;

constexpr std::string_view kAllRegex = "(.*)";
constexpr std::string_view kFirstGroup = "$1";

bool is_one_of(Action action, std::initializer_list<Action> actions) {
  return std::find(actions.begin(), actions.end(), action) != actions.end();
}

std::string_view word_of(Action action) {
  return kRelabelActions[static_cast<std::size_t>(action)];
}

std::string_view regex_of(const RelabelRule& rule) {
  return rule.regex ? std::string_view(*rule.regex) : kAllRegex;
}

std::string_view replacement_of(const RelabelRule& rule) {
  return rule.replacement ? std::string_view(*rule.replacement) : kFirstGroup;
}

bool has_group(std::string_view text) {
  return text.find('$') != std::string_view::npos;
}

/// A label's name with groups in it, "prefix_$1".
bool is_name_template(std::string_view text) {
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      name += text[i];
      continue;
    }
    const bool has_braces = text.substr(i + 1).starts_with('{');
    const auto begin = i + (has_braces ? 2 : 1);
    auto end = begin;
    while (end < text.size() && is_label_name(cat("_", text[end]))) ++end;
    if (end == begin || (has_braces && (end == text.size() || text[end] != '}'))) return false;
    name += '_';
    i = has_braces ? end : end - 1;
  }
  return is_label_name(name);
}

bool is_identity(std::string_view name) {
  return std::ranges::find(kIdentityLabels, name) != std::end(kIdentityLabels);
}

std::string_view value_of(const std::vector<Label>& labels, std::string_view name) {
  for (const auto& label : labels) {
    if (label.name == name) return label.value;
  }
  return {};
}

/// An empty value takes the label away.
void set(std::vector<Label>& labels, std::string_view name, std::string value) {
  const auto is_it = [&](const Label& label) { return label.name == name; };
  if (value.empty()) {
    std::erase_if(labels, is_it);
    return;
  }
  const auto found = std::find_if(labels.begin(), labels.end(), is_it);
  if (found != labels.end()) {
    found->value = std::move(value);
  } else {
    labels.push_back({std::string(name), std::move(value)});
  }
}

std::string joined(const std::vector<Label>& labels, const RelabelRule& rule) {
  std::string all;
  for (std::size_t i = 0; i < rule.source_labels.size(); ++i) {
    if (i > 0) all += rule.separator ? std::string_view(*rule.separator) : ";";
    all += value_of(labels, rule.source_labels[i]);
  }
  return all;
}

void replace(std::vector<Label>& labels, const RelabelRule& rule, const WholeRegex& regex,
             const std::string& value) {
  const auto target = regex.expand(value, *rule.target_label);
  if (!target || !is_label_name(*target)) return;
  set(labels, *target, *regex.expand(value, replacement_of(rule)));
}

void map_names(std::vector<Label>& labels, const RelabelRule& rule, const WholeRegex& regex) {
  const auto before = labels;
  for (const auto& label : before) {
    const auto name = regex.expand(label.name, replacement_of(rule));
    if (name && is_label_name(*name)) set(labels, *name, label.value);
  }
}

std::string hash_modulo(std::string_view value, std::uint64_t modulus) {
  const auto digest = md5(value);
  std::uint64_t number = 0;  // of its last 8 bytes, as Prometheus has done it from its beginnings
  for (std::size_t i = digest.size() - sizeof number; i < digest.size(); ++i) {
    number = number << 8 | digest[i];
  }
  return cat(number % modulus);
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
  } else {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
  }
  out += static_cast<char>(0x80 | (code & 0x3f));
}

/// Letters whose other case is `distance` away; where that is 0, they are pairs, from the first on: one
/// in upper case, and the same letter in lower case.
struct Letters {
  std::uint32_t first_upper;
  std::uint32_t last_upper;
  std::uint32_t distance;
};
constexpr Letters kLetters[] = {
    {'A', 'Z', 32},     {0xc0, 0xd6, 32},    {0xd8, 0xde, 32},    {0x100, 0x12f, 0},
    {0x132, 0x137, 0},  {0x139, 0x148, 0},   {0x14a, 0x177, 0},   {0x179, 0x17e, 0},
    {0x391, 0x3a1, 32}, {0x3a3, 0x3ab, 32},  {0x3d8, 0x3ef, 0},   {0x400, 0x40f, 80},
    {0x410, 0x42f, 32}, {0x460, 0x481, 0},   {0x48a, 0x4bf, 0},   {0x4c1, 0x4ce, 0},
    {0x4d0, 0x52f, 0},  {0x1e00, 0x1e95, 0}, {0x1ea0, 0x1eff, 0},
};

std::string in_case(std::string_view text, bool is_upper) {
  std::string out;
  while (!text.empty()) {
    const auto character = first_character(text);
    auto code = character.code;
    for (const auto& [first, last, distance] : kLetters) {
      if (!character.is_valid) break;
      if (distance == 0 && code >= first && code <= last) {
        code = first + (is_upper ? (code - first) & ~1U : (code - first) | 1U);
      } else if (distance > 0 && !is_upper && code >= first && code <= last) {
        code += distance;
      } else if (distance > 0 && is_upper && code >= first + distance && code <= last + distance) {
        code -= distance;
      } else {
        continue;
      }
      break;
    }
    if (code == character.code) {
      out += text.substr(0, character.bytes);
    } else {
      append_utf8(out, code);
    }
    text.remove_prefix(character.bytes);
  }
  return out;
}

// What check_rule() looks at, one after the other.

using Problem = std::optional<RelabelProblem>;

/// The keys that belong to other actions, where that has a meaning.
Problem check_keys(const RelabelRule& rule) {
  const auto action = word_of(rule.action);
  const auto other_key = [&](std::string_view key) {
    return RelabelProblem{key, cat("a ", key, " beside action: ", action), "none for this action"};
  };
  const bool by_name = is_one_of(rule.action, {Action::labeldrop, Action::labelkeep});
  const bool compares = is_one_of(rule.action, {Action::keepequal, Action::dropequal});
  const bool changes_case = is_one_of(rule.action, {Action::lowercase, Action::uppercase});
  if (by_name && !rule.source_labels.empty()) return other_key("source_labels");
  if (by_name && rule.target_label) return other_key("target_label");
  if (compares && rule.regex) return other_key("regex");
  if ((by_name || compares) && rule.separator.value_or(";") != ";") return other_key("separator");
  if ((by_name || compares || changes_case) && replacement_of(rule) != kFirstGroup) {
    return other_key("replacement");
  }
  if ((by_name || compares) && rule.modulus != 0) return other_key("modulus");
  if (rule.action == Action::hashmod && rule.modulus == 0) {
    return RelabelProblem{"modulus", "nothing beside action: hashmod", "a number from 1"};
  }
  return std::nullopt;
}

Problem check_target(const RelabelRule& rule) {
  const bool is_template = rule.action == Action::replace;
  if (is_one_of(rule.action, {Action::keep, Action::drop, Action::labelmap, Action::labeldrop,
                              Action::labelkeep})) {
    return std::nullopt;
  }
  const auto target = rule.target_label ? std::string_view(*rule.target_label) : std::string_view();
  if (target.empty()) {
    return RelabelProblem{"target_label", cat("nothing beside action: ", word_of(rule.action)),
                          "the name of a label"};
  }
  if (!is_label_name(target) && !(is_template && is_name_template(target))) {
    return RelabelProblem{"target_label", quoted(target, kQuotedBytesMax),
                          "letters, digits and '_', no digit first"};
  }
  const bool writes = !is_one_of(rule.action, {Action::keepequal, Action::dropequal});
  if (writes && is_identity(target)) {
    return RelabelProblem{"target_label", cat(target, ", which says whose the sample is"),
                          "another label"};
  }
  if (rule.action == Action::replace && target == kMetricName && rule.replacement &&
      rule.replacement->empty()) {
    return RelabelProblem{"replacement", "nothing for the metric's name", "a text"};
  }
  return std::nullopt;
}

Problem check_names(const RelabelRule& rule, const WholeRegex& regex) {
  if (rule.action == Action::labelmap) {
    const auto replacement = replacement_of(rule);
    if (!is_name_template(replacement) || is_identity(replacement)) {
      return RelabelProblem{"replacement", quoted(replacement, kQuotedBytesMax),
                            "a label's name, such as $1; not customer_id or server_name"};
    }
  }
  if (!is_one_of(rule.action, {Action::labeldrop, Action::labelkeep})) return std::nullopt;
  const bool drops = rule.action == Action::labeldrop;
  for (const std::string_view name : {kMetricName, kIdentityLabels[0], kIdentityLabels[1]}) {
    if (regex.matches(name) != drops) continue;
    return RelabelProblem{
        "regex", cat(quoted(regex_of(rule), kQuotedBytesMax), ", which takes ", name, " away"),
        cat("one that ", drops ? "does not match" : "matches",
            " __name__, customer_id and server_name")};
  }
  return std::nullopt;
}

}  // namespace

std::optional<RelabelProblem> check_rule(const RelabelRule& rule) {
  if (auto problem = check_keys(rule)) return problem;
  const auto regex = WholeRegex::compile(regex_of(rule));
  if (!regex) {
    return RelabelProblem{"regex",
                          cat(quoted(regex_of(rule), kQuotedBytesMax),
                              ", no regular expression: ", visible(regex.error().text)),
                          "an RE2 regular expression"};
  }
  if (auto problem = check_target(rule)) return problem;
  if (auto problem = check_names(rule, *regex)) return problem;
  if (!is_one_of(rule.action, {Action::replace, Action::labelmap})) return std::nullopt;
  for (const std::string_view key : {"replacement", "target_label"}) {
    const auto& text = key == "replacement" ? rule.replacement : rule.target_label;
    const auto group = text ? regex->unknown_group(*text) : std::string();
    if (group.empty()) continue;
    return RelabelProblem{
        key, cat("'${", visible(group, kQuotedBytesMax), "}', and regex has no such group"),
        "groups of regex by number or name; ${1} where a letter or digit follows"};
  }
  return std::nullopt;
}

Relabeler::Relabeler(const std::vector<RelabelRule>& rules) {
  for (const auto& rule : rules) {
    auto regex = WholeRegex::compile(regex_of(rule));
    if (!regex) continue;  // check_rule() has refused it
    const bool is_plain_set = rule.action == Action::replace && regex_of(rule) == kAllRegex &&
                              !has_group(*rule.target_label) && !has_group(replacement_of(rule));
    rules_.push_back({rule, std::move(*regex), is_plain_set});
  }
}

bool Relabeler::operator()(std::vector<Label>& labels) const {
  for (const auto& [rule, regex, is_plain_set] : rules_) {
    const auto value = joined(labels, rule);
    switch (rule.action) {
      case Action::replace:
        if (is_plain_set) {
          set(labels, *rule.target_label, std::string(replacement_of(rule)));
        } else {
          replace(labels, rule, regex, value);
        }
        break;
      case Action::keep:
      case Action::drop:
        if (regex.matches(value) != (rule.action == Action::keep)) return false;
        break;
      case Action::keepequal:
      case Action::dropequal:
        if ((value_of(labels, *rule.target_label) == value) != (rule.action == Action::keepequal)) {
          return false;
        }
        break;
      case Action::hashmod:
        set(labels, *rule.target_label, hash_modulo(value, rule.modulus));
        break;
      case Action::labelmap:
        map_names(labels, rule, regex);
        break;
      case Action::labeldrop:
      case Action::labelkeep:
        std::erase_if(labels, [&, drops = rule.action == Action::labeldrop](const Label& label) {
          return regex.matches(label.name) == drops;
        });
        break;
      case Action::lowercase:
      case Action::uppercase:
        set(labels, *rule.target_label, in_case(value, rule.action == Action::uppercase));
        break;
    }
  }
  std::erase_if(labels, [](const Label& label) {
    return label.name.starts_with("__") && label.name != kMetricName;
  });
  return true;
}

}  // namespace msp::metrics
