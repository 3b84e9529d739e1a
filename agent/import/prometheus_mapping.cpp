#include "agent/import/prometheus_mapping.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/text.h"
#include "agent/import/endpoint.h"
#include "agent/import/external_labels.h"
#include "agent/import/host_target.h"
#include "agent/import/label_settings.h"
#include "agent/import/relabel.h"

namespace msp {
namespace {

using Kind = Setting::Kind;

constexpr std::string_view kPrometheusInterval = "1m";
constexpr std::string_view kStaticMode =
    "a configuration of Grafana Agent's static mode, not of Prometheus; make one of Alloy's of it "
    "first: alloy convert --source-format=static";

// Keys of vmagent that Prometheus does not have.
constexpr std::string_view kKeysOfVmagent[] = {"stream_parse",
                                               "scrape_align_interval",
                                               "scrape_offset",
                                               "series_limit",
                                               "no_stale_markers",
                                               "relabel_debug",
                                               "if",
                                               "metric_relabel_debug",
                                               "disable_keepalive",
                                               "disable_compression",
                                               "max_scrape_size"};

bool has_key_of_vmagent(const Setting& setting) {
  const auto is_of_vmagent = [](const Setting::Entry& entry) {
    return std::find(std::begin(kKeysOfVmagent), std::end(kKeysOfVmagent), entry.key) !=
               std::end(kKeysOfVmagent) ||
           has_key_of_vmagent(entry.value);
  };
  return std::any_of(setting.entries.begin(), setting.entries.end(), is_of_vmagent) ||
         std::any_of(setting.items.begin(), setting.items.end(), has_key_of_vmagent);
}

/// One static target, and where it stands.
struct StaticTarget {
  const Setting* job;
  const Setting* config;
  const Setting* target;
};

class PrometheusMapper {
 public:
  PrometheusMapper(const Setting& root, bool has_vmagent_variables, ConvertContext& context)
      : context_(context),
        root_(root),
        top_(&root, "", context),
        is_vmagent_(has_vmagent_variables || has_key_of_vmagent(root)) {}

  ImportedConfig map() {
    auto global = top_.part("global");
    const auto interval = global.duration("scrape_interval", "interval");
    const auto jobs = top_.all("scrape_configs");
    choose(jobs);
    SampleLabels labels;
    bool is_refused = false;
    for (const auto* const job : jobs) {
      if (own_.job == job) {
        is_refused = !map_job(*job, interval, labels);
      } else {
        name_other_job(*job);
      }
    }
    if (own_.job == nullptr) map_without_job(interval, labels);
    if (!is_refused) {
      add_external_labels(global, is_vmagent_ ? ExternalLabels::win : ExternalLabels::give_way,
                          context_, labels);
      tell_of_vmagent(global, labels);
    } else {
      global.find("external_labels");
    }
    finish_global(global);
    for (const auto* const setting : top_.all("remote_write")) {
      if (!is_refused) map_endpoint(*setting, labels);
    }
    finish();
    return std::move(imported_);
  }

 private:
  static std::string job_name(const Setting& job) {
    const auto* const name = job.find("job_name");
    return name != nullptr ? name->text : "";
  }

  static std::vector<StaticTarget> targets_of(const Setting& job) {
    std::vector<StaticTarget> found;
    const auto* const configs = job.find("static_configs");
    if (configs == nullptr) return found;
    for (const auto& config : configs->items) {
      const auto* const targets = config.find("targets");
      if (targets == nullptr) continue;
      for (const auto& target : targets->items) found.push_back({&job, &config, &target});
    }
    return found;
  }

  void choose(const std::vector<const Setting*>& jobs) {
    std::vector<StaticTarget> targets;
    std::vector<TargetCandidate> candidates;
    for (const auto* const job : jobs) {
      for (const auto& target : targets_of(*job)) {
        targets.push_back(target);
        candidates.push_back({target.target->text, job_name(*job)});
      }
    }
    const auto chosen = choose_node_exporter(candidates);
    if (!chosen) return;
    own_ = targets[chosen->index];
    if (chosen->is_certain) return;
    context_.notes.different(own_.target->at, taken_for_node_exporter(own_.target->text));
  }

  void name_other_job(const Setting& job) {
    const auto named = cat("scrape_configs: job ", quoted(job_name(job)), ": ");
    std::vector<std::string> addresses;
    for (const auto& target : targets_of(job)) addresses.push_back(target.target->text);
    const bool has_targets = job.find("static_configs") != nullptr;
    context_.notes.left_out(
        job.at,
        cat(named, has_targets ? why_not_node_exporter(addresses, own_.job != nullptr)
                               : "its targets are not in this file; if one of them is this host's "
                                 "node_exporter, write its labels under labels; msp-agent scrapes "
                                 "nothing"));
  }

  void map_without_job(const std::optional<std::string>& interval, SampleLabels& labels) {
    if (interval) imported_.interval = *interval;
    labels.set({"job", "node"});
    labels.set({"instance", "", {}, ImportedLabel::Value::host_name});
    labels.scrape(false);
    context_.notes.different({},
                             "no job scrapes this host's node_exporter (port 9100 of "
                             "localhost); msp-agent collects with its default collectors");
  }

  /// False where a rule takes the target or its samples away.
  bool map_job(const Setting& setting, const std::optional<std::string>& interval,
               SampleLabels& labels) {
    MappingReader part(&setting, "scrape_configs", context_);
    const auto own_interval = part.duration("scrape_interval", "interval");
    imported_.interval = own_interval.value_or(interval.value_or(std::string(kPrometheusInterval)));
    if (!own_interval && !interval) {
      part.different("scrape_interval",
                     "not set: 1m, as Prometheus has it; msp-agent's own is 15s");
    }
    const auto job = part.text("job_name");
    context_.notes.different(part.at(),
                             "node_exporter is not scraped any more: msp-agent reads /proc and "
                             "/sys itself; node_exporter's flags are not in this file, and "
                             "collectors stands for them");
    labels.set({"__address__", without_login(own_.target->text), own_.target->at,
                ImportedLabel::Value::address});
    map_targets(part, labels);
    if (labels.find("job") == nullptr) labels.set({"job", job.value_or(""), part.at("job_name")});
    auto refused = apply_rules(part.all("relabel_configs"), "relabel_configs", context_, labels);
    const auto honor = part.text("honor_labels");
    labels.scrape(honor == "true");
    const auto metric_rules = part.all("metric_relabel_configs");
    if (!refused) refused = apply_rules(metric_rules, "metric_relabel_configs", context_, labels);
    finish_job(part);
    if (!refused) return true;
    imported_.why_nothing = cat("a rule of the job ", quoted(job.value_or("")),
                                " takes all of this host's samples away: ", refused->why);
    context_.notes.left_out(refused->at, imported_.why_nothing);
    return false;
  }

  void map_targets(MappingReader& job, SampleLabels& labels) {
    for (const auto* const config : job.all("static_configs")) {
      MappingReader of_config(config, "static_configs", context_);
      for (const auto* const target : of_config.all("targets")) {
        if (target == own_.target) continue;
        context_.notes.left_out(target->at,
                                cat("static_configs.targets: ", not_scraped(target->text)));
      }
      if (config == own_.config) {
        add_labels(of_config, "labels", context_, labels);
      } else {
        of_config.find("labels");  // of targets that are named above
      }
      of_config.finish();
    }
  }

  static void finish_job(MappingReader& part) {
    constexpr Explanation kKeys[] = {
        {"scrape_timeout", Note::Kind::different,
         "not needed: nothing is scraped; a mount that hangs has "
         "collectors.filesystem.mount_timeout"},
        {"metrics_path", Note::Kind::different, "not needed: nothing is scraped"},
        {"scheme", Note::Kind::different, "not needed: nothing is scraped"},
        {"basic_auth", Note::Kind::different, "not needed: nothing is scraped"},
        {"authorization", Note::Kind::different, "not needed: nothing is scraped"},
        {"tls_config", Note::Kind::different, "not needed: nothing is scraped"},
        {"params", Note::Kind::left_out,
         "collect[] is collectors.enabled in msp-agent; write its names there"},
        {"file_sd_configs", Note::Kind::left_out,
         "the targets and labels that it reads are not in this file"},
    };
    part.finish(kKeys);
  }

  /// Which agent's rule was taken for external_labels, where it makes a difference.
  void tell_of_vmagent(const MappingReader& global, const SampleLabels& labels) {
    if (is_vmagent_) {
      context_.notes.left_out(
          {},
          "vmagent's command line is not in this file: write the labels of "
          "-remoteWrite.label, which overwrite all others, under labels, and what "
          "-remoteWrite.relabelConfig and -remoteWrite.urlRelabelConfig do, too");
      return;
    }
    const auto* const external =
        top_.value("global") != nullptr ? top_.value("global")->find("external_labels") : nullptr;
    if (external == nullptr) return;
    for (const auto& entry : external->entries) {
      const auto* const label = labels.find(entry.key);
      if (label == nullptr || label->at.line == entry.at.line) continue;
      context_.notes.different(
          global.at("external_labels"),
          "external_labels: taken as Prometheus takes them, whose samples' own labels win; in "
          "newer vmagents external_labels win: if this is vmagent's file, write those that differ "
          "under labels");
      return;
    }
  }

  static void finish_global(MappingReader& global) {
    constexpr Explanation kKeys[] = {
        {"scrape_timeout", Note::Kind::different, "not needed: nothing is scraped"},
        {"evaluation_interval", Note::Kind::different, "not needed: msp-agent evaluates no rules"},
    };
    global.finish(kKeys);
  }

  void map_endpoint(const Setting& setting, SampleLabels labels) {
    MappingReader part(&setting, "remote_write", context_);
    const auto rules = part.all("write_relabel_configs");
    const auto* const name = setting.find("name");
    const bool is_named = name != nullptr && name->is(Kind::text);
    auto endpoint = convert_endpoint(part, context_,
                                     is_named ? cat("remote_write ", name->text) : "remote_write");
    if (!endpoint) return;
    if (const auto refused = apply_rules(rules, "write_relabel_configs", context_, labels)) {
      imported_.why_nothing = cat("no sample of this host passes its rules: ", refused->why);
      return context_.notes.left_out(
          refused->at, cat(one_line(endpoint->title), ": the whole endpoint is left out, for ",
                           imported_.why_nothing));
    }
    endpoint->labels = labels.all();
    imported_.endpoints.push_back(std::move(*endpoint));
  }

  void finish() {
    constexpr Explanation kKeys[] = {
        {"rule_files", Note::Kind::left_out, "msp-agent evaluates no rules; do it at the centre"},
        {"alerting", Note::Kind::left_out, "msp-agent sends no alerts; do it at the centre"},
        {"remote_read", Note::Kind::left_out, "msp-agent keeps nothing that could be read"},
        {"scrape_config_files", Note::Kind::left_out,
         "the jobs of these files are not in this one; if node_exporter's is among them, write it "
         "under scrape_configs and convert again"},
        {"metrics", Note::Kind::left_out, kStaticMode},
        {"integrations", Note::Kind::left_out, kStaticMode},
        {"storage", Note::Kind::different,
         "not needed: msp-agent has a disk buffer; how long and how much it keeps is "
         "buffer.max_age and buffer.max_size"},
        {"tracing", Note::Kind::left_out, "msp-agent sends no traces"},
    };
    const bool is_static_mode =
        top_.value("metrics") != nullptr || top_.value("integrations") != nullptr;
    if (is_static_mode && imported_.endpoints.empty()) imported_.why_nothing = kStaticMode;
    for (const auto& [key, at, value] : root_.entries) {
      if (!key.starts_with("x-")) continue;
      top_.find(key);
      context_.notes.different(
          at, cat(one_line(key), ": not needed: only what its aliases put elsewhere is of use"));
    }
    top_.finish(kKeys);
  }

  ConvertContext& context_;
  const Setting& root_;
  MappingReader top_;
  ImportedConfig imported_;
  StaticTarget own_{nullptr, nullptr, nullptr};
  bool is_vmagent_;
};

}  // namespace

ImportedConfig map_prometheus(const Setting& root, bool has_vmagent_variables,
                              ConvertContext& context) {
  return PrometheusMapper(root, has_vmagent_variables, context).map();
}

}  // namespace msp
