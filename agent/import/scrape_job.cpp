#include "agent/import/scrape_job.h"

#include <algorithm>
#include <iterator>
#include <list>
#include <optional>
#include <set>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/config/quantity.h"
#include "agent/config/scrape_target.h"
#include "agent/import/blackbox.h"
#include "agent/import/host_target.h"
#include "agent/import/http_settings.h"
#include "agent/import/relabel_rule.h"

namespace msp::import {
namespace {

using Kind = Setting::Kind;

constexpr auto kDifferent = Note::Kind::different;
constexpr auto kLeftOut = Note::Kind::left_out;

constexpr Explanation kKeys[] = {
    {"enable_protobuf_negotiation", kDifferent, "not needed: msp-agent asks for text"},
    {"scrape_protocols", kDifferent, "not needed: msp-agent asks for text"},
    {"scrape_classic_histograms", kDifferent, "not needed: msp-agent asks for text"},
    {"scrape_fallback_protocol", kDifferent, "not needed: msp-agent reads text by its lines"},
    {"fallback_scrape_protocol", kDifferent, "not needed: msp-agent reads text by its lines"},
    {"enable_compression", kDifferent, "not needed: a target may answer with gzip or without"},
    {"enable_http2", kDifferent, "not needed"},
    {"clustering", kDifferent, "not needed: every server has its own msp-agent"},
    {"follow_redirects", kDifferent, "msp-agent follows a redirect on the same host only"},
    {"proxy_url", kLeftOut, "msp-agent scrapes without a proxy"},
    {"oauth2", kLeftOut, kNoLogin},
};

/// The labels of a target while its rules are evaluated. A value that is known only when the agent runs
/// is a placeholder, and may be copied and joined, but not looked into.
class TargetEvaluation {
 public:
  explicit TargetEvaluation(ConvertContext& context) : context_(context) {}

  /// As a Setting's text; an empty one takes the label away.
  void set(std::string_view name, std::string_view text) {
    auto plain = without_variables(text);
    if (!plain) {
      plain = cat(kBegin, values_.size(), kEnd);
      values_.emplace_back(text);
    }
    std::erase_if(labels_, [&](const metrics::Label& label) { return label.name == inner(name); });
    if (!plain->empty()) labels_.push_back({inner(name), *plain});
  }

  void set(std::string_view name, const Setting& setting, const Place& at) {
    std::string why;
    auto text =
        setting.is(Kind::host_name) ? std::string(kHostNameVariable) : text_of(setting, why);
    if (!text) {
      context_.notes.left_out(at, cat("the label ", quoted(name), ": ", why));
    } else {
      set(name, *text);
    }
  }

  /// False: the target is dropped.
  bool apply(const Setting& setting) {
    auto rule = read_rule(setting, "relabel_configs", context_);
    std::string why;
    const auto target = rule.target;
    // It may set these: the agent takes its own in their place later.
    if (is_one_of(target, {"customer_id", "server_name"})) rule.target = cat(kHidden, target);
    for (auto& name : rule.sources) name = inner(name);
    rule.target = inner(rule.target);
    const auto ours = our_rule(rule, why);
    if (ours && looks_into_placeholder(*ours)) why = "a label whose value is not known";
    if (!ours || !why.empty()) {
      rule.part.left_out("action",
                         cat("'", one_line(rule.action), "' on ", listed(rule.sources),
                             target.empty() ? "" : cat(" for ", quoted(target)), ": ", why));
      return true;
    }
    return metrics::Relabeler({*ours})(labels_);
  }

  /// As a Setting's text; empty: there is none.
  std::string get(std::string_view name) const {
    for (const auto& label : labels_) {
      if (label.name == inner(name)) return resolved(label.value);
    }
    return "";
  }

  /// Those that stay on the samples, and customer_id and server_name.
  ImportedLabels sample_labels(const Place& at) const {
    ImportedLabels labels;
    for (const auto& label : labels_) {
      std::string_view name = label.name;
      if (name.starts_with(kMeta)) continue;
      if (name.starts_with(kHidden)) name.remove_prefix(kHidden.size());
      labels.push_back({std::string(name), resolved(label.value), at});
    }
    return labels;
  }

  /// The parameters of the URL.
  std::vector<metrics::Label> parameters() const {
    std::vector<metrics::Label> all;
    const auto prefix = inner("__param_");
    for (const auto& label : labels_) {
      if (!label.name.starts_with(prefix)) continue;
      all.push_back({label.name.substr(prefix.size()), resolved(label.value)});
    }
    return all;
  }

 private:
  static constexpr char kBegin = '\x01';
  static constexpr char kEnd = '\x02';
  // A Relabeler takes labels away that begin with "__".
  static constexpr std::string_view kMeta = "meta__";
  static constexpr std::string_view kHidden = "hidden__";

  static std::string inner(std::string_view name) {
    return name.starts_with("__") && name != metrics::kMetricName ? cat("meta", name)
                                                                  : std::string(name);
  }

  bool looks_into_placeholder(const metrics::RelabelRule& rule) const {
    const bool copies = rule.action == metrics::RelabelAction::replace &&
                        matches_all_but_empty(rule.regex.value_or("(.*)"));
    if (copies || rule.action == metrics::RelabelAction::labelmap) return false;
    return std::any_of(labels_.begin(), labels_.end(), [&](const metrics::Label& label) {
      return label.value.find(kBegin) != std::string::npos &&
             (std::ranges::find(rule.source_labels, label.name) != rule.source_labels.end() ||
              rule.target_label == label.name);
    });
  }

  std::string resolved(std::string_view value) const {
    std::string text;
    while (!value.empty()) {
      const auto begin = std::min(value.find(kBegin), value.size());
      text += escape_dollars(value.substr(0, begin));
      value.remove_prefix(begin);
      if (value.empty()) break;
      const auto end = std::min(value.find(kEnd), value.size() - 1);
      const auto index = parse_number<std::size_t>(value.substr(1, end - 1));
      if (index && *index < values_.size()) text += values_[*index];
      value.remove_prefix(end + 1);
    }
    return text;
  }

  ConvertContext& context_;
  std::vector<metrics::Label> labels_;
  std::vector<std::string> values_;
};

/// A value in a URL's query; variables stay.
std::string encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') ||
                          std::string_view("-_.~:/${}").find(c) != std::string_view::npos;
    if (is_plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += cat("%", kHex.substr(byte >> 4, 1), kHex.substr(byte & 15, 1));
    }
  }
  return out;
}

/// `further`: values of a parameter behind its first one.
std::string address_of(const TargetEvaluation& target, const std::vector<metrics::Label>& further) {
  const auto address = target.get("__address__");
  const auto path = target.get("__metrics_path__");
  std::string query;
  const auto add = [&](const metrics::Label& parameter) {
    query += cat(query.empty() ? "?" : "&", encoded(parameter.name), "=", encoded(parameter.value));
  };
  for (const auto& parameter : target.parameters()) {
    add(parameter);
    for (const auto& more : further) {
      if (more.name == parameter.name) add(more);
    }
  }
  if (address.find("://") != std::string::npos) return address + query;  // vmagent's
  const auto scheme = target.get("__scheme__");
  if (scheme == "http" && path == "/metrics" && query.empty()) return address;
  return cat(scheme, "://", address, path.starts_with('/') ? "" : "/", path, query);
}

/// What tells the series of a target from those of others, with its own labels.
std::string series_of(const ImportedTarget& target, std::string_view address) {
  std::vector<metrics::Label> labels = {{"job", target.job}};
  const bool has_instance = find_label(target.labels, "instance") != nullptr;
  for (const auto& label : target.labels) labels.push_back({label.name, label.text});
  if (!has_instance) labels.push_back({"instance", std::string(address)});
  return std::string(metrics::Labels(labels).flat());
}

void read_parameters(MappingReader& part, TargetEvaluation& target,
                     std::vector<metrics::Label>& further) {
  const auto* const params = part.find("params");
  if (params == nullptr) return;
  for (const auto& [name, at, values] : params->entries) {
    const auto count = values.is(Kind::list) ? values.items.size() : 1;
    for (std::size_t i = 0; i < count; ++i) {
      const auto& value = values.is(Kind::list) ? values.items[i] : values;
      std::string why;
      if (i == 0) {
        target.set(cat("__param_", name), value, at);
      } else if (auto text = text_of(value, why)) {
        further.push_back({name, std::move(*text)});
      }
    }
  }
}

void read_limits(MappingReader& part, ImportedScrape& out) {
  constexpr std::uint64_t kBodyMax = 64 << 20;
  constexpr std::uint64_t kSeriesMax = 200'000;
  for (const auto* const key : {"body_size_limit", "max_scrape_size"}) {
    const auto text = part.text(key);
    if (!text || *text == "0") continue;
    const auto bytes = foreign_size(*text);
    if (!bytes) {
      part.left_out(key, cat(quoted(*text), " is no size that msp-agent reads, such as 16MiB"));
      continue;
    }
    const auto nearest = std::clamp<std::uint64_t>(*bytes, 1 << 10, kBodyMax);
    if (nearest != *bytes)
      part.different(key, cat("is ", config::size_words(nearest), " in msp-agent"));
    out.body_max = config::size_words(nearest);
  }
  const auto samples = part.text("sample_limit");
  const auto count = parse_number<std::uint64_t>(samples.value_or(""));
  if (!count || *count == 0) return;
  if (*count > kSeriesMax) part.different("sample_limit", cat("is ", kSeriesMax, " in msp-agent"));
  out.series_max = cat(std::min(*count, kSeriesMax));
}

void read_times(MappingReader& part, const ScrapeDefaults& defaults, ImportedScrape& out) {
  out.interval = part.duration("scrape_interval", "scrape.interval")
                     .value_or(defaults.interval.empty() ? "1m" : defaults.interval);
  out.timeout = part.duration("scrape_timeout", "scrape.timeout").value_or(defaults.timeout);
  const auto interval = config::parse_duration(out.interval);
  const auto timeout = config::parse_duration(out.timeout);
  if (interval && timeout && *timeout > *interval) out.timeout = out.interval;
}

/// The labels of the target in `one`, but for an instance that is `usual` there as here.
void take_labels(const TargetEvaluation& target, const Place& at, std::string_view usual,
                 ImportedTarget& one) {
  const auto address = target.get("__address__");
  auto labels = target.sample_labels(at);
  if (find_label(labels, "instance") == nullptr) labels.push_back({"instance", address, at});
  one.labels.clear();
  for (auto& label : labels) {
    if (label.name == "job") {
      one.job = label.text;
    } else if (label.name != "instance" || label.text != usual) {
      one.labels.push_back(std::move(label));
    }
  }
}

/// False, and a note, where it is no target of ours.
bool take_target(const TargetEvaluation& target, const Place& at,
                 const std::vector<metrics::Label>& further, ConvertContext& context,
                 ImportedScrape& one) {
  const auto address = target.get("__address__");
  const auto url = address_of(target, further);
  const auto known = context.env.expand(url);
  if (address.empty() || (known && !config::is_scrape_target(*known))) {
    context.notes.left_out(at, cat("the target ", quoted(without_login(address)),
                                   ": no address that msp-agent can scrape"));
    return false;
  }
  if (lower_case(cat(one.job, " ", address)).find("cadvisor") != std::string::npos) {
    context.notes.different(at, cat(quoted(without_login(address)),
                                    ": the collector containers sends metrics of these names, too, "
                                    "with this host's job; to have them once: collectors.disabled: "
                                    "[containers]"));
  }
  one.targets = {url};
  const bool has_usual = address.find(':') != std::string::npos &&
                         address.find("://") == std::string::npos &&
                         !is_this_host(target_address(address));
  take_labels(target, at, has_usual ? address : "", one);
  return true;
}

/// Whether it is one of blackbox_exporter, and not of another one that is told its target.
bool is_of_blackbox(const TargetEvaluation& target, const ForeignTarget& foreign) {
  if (target.get("__param_target").empty()) return false;
  if (foreign.is_in_alloy) return true;
  const bool is_at_its_port = target_address(target.get("__address__")).port == "9115";
  return target.get("__metrics_path__") == "/probe" &&
         (is_at_its_port || !target.get("__param_module").empty());
}

/// A probe, or nothing, and a note, where blackbox_exporter must stay.
bool take_probe(const TargetEvaluation& target, const ForeignTarget& foreign,
                const ImportedTarget& common, const ImportedRules& metric_rules,
                ConvertContext& context, ImportedConfig& imported) {
  const ForeignProbe wanted{target.get("__param_module"), target.get("__param_target"),
                            target.get("__param_hostname"), foreign.blackbox};
  std::string why;
  auto probe = convert_probe(wanted, common, context, why);
  if (!probe) {
    const auto about = cat("a probe of ", quoted(without_login(wanted.target)), ", module ",
                           quoted(wanted.module), ": ", why);
    if (foreign.is_in_alloy) {
      context.notes.left_out(foreign.at,
                             cat(about, "; install blackbox_exporter for it, and scrape it"));
    } else {
      context.notes.different(foreign.at,
                              cat(about, "; blackbox_exporter is scraped for it: keep it running"));
    }
    return false;
  }
  take_labels(target, foreign.at,
              std::string_view(wanted.target).substr(0, wanted.target.find('?')), *probe);
  auto name = probe->job;
  if (foreign.is_in_alloy) {
    name.erase(0, name.rfind('/') + 1);
  } else {
    const auto scheme = wanted.target.find("://");
    name +=
        cat("-", without_login(wanted.target).substr(scheme == std::string::npos ? 0 : scheme + 3));
  }
  probe->name = probe_name(name, imported.probes);
  for (const auto& [rule, at] : metric_rules) {
    context.notes.left_out(at,
                           "a rule for the samples of probes, which have none of their own; "
                           "write it under relabel");
  }
  imported.probes.push_back(std::move(*probe));
  return true;
}

std::string quoted_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

/// The rule for the samples of `job` alone; nothing where its action cannot be confined to them.
std::optional<metrics::RelabelRule> confined(metrics::RelabelRule rule, const std::string& job,
                                             const std::set<std::string>& other_jobs) {
  const bool keeps = rule.action == metrics::RelabelAction::keep;
  if (!keeps && rule.action != metrics::RelabelAction::drop &&
      rule.action != metrics::RelabelAction::replace) {
    return std::nullopt;
  }
  const auto separator = quoted_regex(rule.separator.value_or(";"));
  auto regex = rule.source_labels.empty()
                   ? quoted_regex(job)
                   : cat(quoted_regex(job), separator, "(?:", rule.regex.value_or("(.*)"), ")");
  if (keeps) {
    for (const auto& other : other_jobs) regex += cat("|", quoted_regex(other), separator, ".*");
  }
  rule.source_labels.insert(rule.source_labels.begin(), "job");
  rule.regex = std::move(regex);
  return rule;
}

/// Whether every job has the rule as well, and a second time changes nothing.
bool is_of_all(const ImportedRule& rule, const ImportedConfig& imported) {
  const auto action = rule.rule.action;
  const bool is_stable =
      action == metrics::RelabelAction::keep || action == metrics::RelabelAction::drop ||
      action == metrics::RelabelAction::labeldrop || action == metrics::RelabelAction::labelkeep;
  return is_stable && imported.probes.empty() &&
         std::ranges::all_of(imported.scrapes, [&](const ImportedScrape& scrape) {
           return std::ranges::find(scrape.relabel, rule) != scrape.relabel.end();
         });
}

void confine_rules(ConvertContext& context, ImportedConfig& imported) {
  const auto* const label = find_label(imported.labels, "job");
  const std::string job = label == nullptr ? "node" : label->text;
  std::set<std::string> others;
  for (const auto& scrape : imported.scrapes) others.insert(scrape.job);
  for (const auto& probe : imported.probes) others.insert(probe.job);
  std::erase_if(imported.relabel, [&](ImportedRule& rule) {
    if (is_of_all(rule, imported)) return false;
    auto one = others.contains(job) ? std::nullopt : confined(rule.rule, job, others);
    if (one && !metrics::check_rule(*one)) {
      rule.rule = std::move(*one);
      return false;
    }
    context.notes.left_out(
        rule.at, cat("'", metrics::kRelabelActions[static_cast<std::size_t>(rule.rule.action)],
                     "' for the samples of this host alone: a rule at the top of the file would be "
                     "for those of its other jobs, too"));
    return true;
  });
}

/// What all targets of a kind have in common with more than the agent takes.
template <typename Target>
void drop_too_many(ConvertContext& context, std::size_t count, std::size_t count_max,
                   std::string_view what, std::list<Target>& targets) {
  if (count <= count_max) return;
  context.notes.left_out({}, cat(count, " ", what, ", and msp-agent takes ", count_max,
                                 ": none of them is carried over; keep what scrapes them, or "
                                 "leave out some, and convert again"));
  targets.clear();
}

/// The labels of this host are not those of others, and what is on every sample need not be said twice.
void settle_labels(ConvertContext& context, const ImportedConfig& imported,
                   const ImportedLabels& of_agent, ImportedTarget& target) {
  for (const auto& label : of_agent) {
    const bool is_its_own = is_one_of(label.name, {"job", "instance"}) ||
                            find_label(target.labels, label.name) != nullptr;
    if (!label.is_of_host || is_its_own) continue;
    const auto* const external = find_label(imported.external_labels, label.name);
    target.labels.push_back(
        {label.name, external != nullptr ? external->text : std::string(), label.at});
  }
  std::erase_if(target.labels, [&](const ImportedLabel& label) {
    const auto* const own = label.name == "customer_id"   ? &imported.customer_id
                            : label.name == "server_name" ? &imported.server_name
                                                          : nullptr;
    if (own == nullptr) {
      const auto* const same = find_label(of_agent, label.name);
      return label.name != "instance" && same != nullptr && same->text == label.text;
    }
    if (!*own || (*own)->text != label.text) {
      context.notes.different(label.at,
                              cat("the label ", quoted(label.name), " was ", quoted(label.text),
                                  "; msp-agent sends its own on all samples"));
    }
    return true;
  });
}

/// Two of the same labels would be one series.
void drop_same_series(ConvertContext& context, ImportedConfig& imported) {
  std::set<std::string> seen;
  const auto is_second = [&](const ImportedTarget& target, std::string_view address) {
    if (seen.insert(series_of(target, address)).second) return false;
    context.notes.left_out(
        target.at, cat("a target of job ", quoted(target.job), " with the labels of another one"));
    return true;
  };
  for (auto& scrape : imported.scrapes) {
    std::erase_if(scrape.targets, [&](const auto& address) { return is_second(scrape, address); });
  }
  std::erase_if(imported.scrapes, [](const auto& scrape) { return scrape.targets.empty(); });
  std::erase_if(imported.probes, [&](const auto& probe) { return is_second(probe, probe.target); });
}

}  // namespace

void convert_scrape(MappingReader& part, const ScrapeDefaults& defaults, std::string_view job,
                    const std::vector<ForeignTarget>& targets, const ImportedRules& metric_rules,
                    ConvertContext& context, ImportedConfig& imported) {
  ImportedScrape common;
  common.at = part.at();
  common.title = part.name();
  common.relabel = metric_rules;
  read_times(part, defaults, common);
  read_limits(part, common);
  common.honor_labels = part.text("honor_labels") == "true";
  common.honor_timestamps = part.text("honor_timestamps") == "true";
  read_login(part, common);
  read_http(part, context, common);
  const auto scheme = part.text("scheme").value_or("http");
  const auto path = part.text("metrics_path").value_or("/metrics");
  const auto first = static_cast<std::ptrdiff_t>(imported.scrapes.size());
  for (const auto& foreign : targets) {
    TargetEvaluation target(context);
    std::vector<metrics::Label> further;
    target.set("job", job);
    target.set("__scheme__", scheme);
    target.set("__metrics_path__", path);
    read_parameters(part, target, further);
    for (const auto& [name, value] : foreign.labels) target.set(name, *value, foreign.at);
    if (!std::ranges::all_of(foreign.rules,
                             [&](const auto* rule) { return target.apply(*rule); })) {
      context.notes.different(foreign.at, "a target that its rules drop");
      continue;
    }
    common.job = target.get("job");
    if (common.job.empty()) {
      context.notes.left_out(
          foreign.at, cat("a target of ", part.name(), " has no job, which msp-agent wants"));
      continue;
    }
    if (is_of_blackbox(target, foreign) &&
        (take_probe(target, foreign, common, metric_rules, context, imported) ||
         foreign.is_in_alloy)) {
      continue;
    }
    if (!take_target(target, foreign.at, further, context, common)) continue;
    // Those that only their addresses tell apart are of one job.
    const auto series = series_of(common, "");
    const auto same =
        std::find_if(std::next(imported.scrapes.begin(), first), imported.scrapes.end(),
                     [&](const auto& other) { return series_of(other, "") == series; });
    if (same == imported.scrapes.end() || find_label(common.labels, "instance") != nullptr) {
      imported.scrapes.push_back(common);
    } else {
      same->targets.push_back(common.targets.front());
    }
  }
  part.find("job_name");
  part.finish(kKeys);
}

void settle_scrapes(ConvertContext& context, ImportedConfig& imported) {
  std::size_t count = 0;
  for (const auto& scrape : imported.scrapes) count += scrape.targets.size();
  drop_too_many(context, count, config::kTargetsMax, "targets", imported.scrapes);
  drop_too_many(context, imported.probes.size(), config::kProbesMax, "probes", imported.probes);
  if (imported.scrapes.empty() && imported.probes.empty()) return;
  auto of_agent = imported.labels;
  if (imported.environment) {
    of_agent.push_back(*imported.environment);
    of_agent.back().name = "environment";
  }
  for (auto& scrape : imported.scrapes) settle_labels(context, imported, of_agent, scrape);
  for (auto& probe : imported.probes) settle_labels(context, imported, of_agent, probe);
  drop_same_series(context, imported);
  confine_rules(context, imported);
}

}  // namespace msp::import
