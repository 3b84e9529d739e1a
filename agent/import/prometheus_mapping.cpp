#include "agent/import/prometheus_mapping.h"

#include <fnmatch.h>

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
#include "agent/import/process_exporter.h"
#include "agent/import/relabel.h"
#include "agent/import/scrape_job.h"

namespace msp::import {
namespace {

using Kind = Setting::Kind;

constexpr std::string_view kPrometheusInterval = "1m";
constexpr std::string_view kFilesOfTargets =
    "its targets are not in this file: name the files that have them behind it, and convert "
    "again: ";
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

/// "targets/*.json" and "/copied/targets/a.json" have one name.
std::string base_name(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

/// What a file that the configuration names holds.
enum class Content { targets, jobs, rules, modules, processes, other };
Content content_of(const Setting& root) {
  if (root.find("modules") != nullptr) return Content::modules;
  if (root.find(kProcessNames) != nullptr) return Content::processes;
  if (root.find("scrape_configs") != nullptr) return Content::jobs;
  if (!root.is(Kind::list) || root.items.empty()) return Content::other;
  const auto& first = root.items.front();
  if (!first.is(Kind::mapping)) return Content::other;
  if (first.find("job_name") != nullptr) return Content::jobs;  // vmagent's
  return first.find("targets") != nullptr ? Content::targets : Content::rules;
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
        is_vmagent_(has_vmagent_variables || has_key_of_vmagent(root)) {
    for (const auto& file : context.named_files) {
      const auto content = content_of(file.root);
      if (content == Content::rules) has_rules_ = is_vmagent_ = true;
      if (content == Content::other) {
        context.notes.left_out({file.name, 0},
                               "neither targets, jobs, rules, modules of blackbox_exporter nor "
                               "process_names of process-exporter");
      }
      if (content == Content::processes) convert_process_exporter(file.root, context, imported_);
    }
  }

  ImportedConfig map() {
    auto global = top_.part("global");
    const auto interval = global.duration("scrape_interval", "interval");
    auto jobs = top_.all("scrape_configs");
    if (const auto* const files = top_.value("scrape_config_files");
        files != nullptr && missing(*files, Content::jobs).empty()) {
      top_.find("scrape_config_files");
    }
    for (const auto& file : context_.named_files) {
      if (content_of(file.root) != Content::jobs) continue;
      const auto* const inner = file.root.find("scrape_configs");
      for (const auto& job : (inner != nullptr ? *inner : file.root).items) jobs.push_back(&job);
    }
    choose(jobs);
    ScrapeDefaults defaults;
    defaults.interval = interval.value_or("");
    defaults.timeout = global.duration("scrape_timeout", "scrape.timeout").value_or("");
    for (const auto* const job : jobs) add_scrapes(*job, defaults);
    SampleLabels labels;
    bool is_refused = false;
    for (const auto* const job : jobs) {
      if (own_.job == job) is_refused = !map_job(*job, interval, labels);
    }
    if (own_.job == nullptr) map_without_job(interval, labels);
    if (!is_refused) {
      labels.end_of_host();
      const auto* const global_setting = top_.value("global");
      const auto* const external =
          global_setting != nullptr ? global_setting->find("external_labels") : nullptr;
      if (external != nullptr) {
        for (const auto& [name, at, value] : external->entries) {
          if (value.is(Kind::text)) imported_.external_labels.push_back({name, value.text, at});
        }
      }
      add_external_labels(global, is_vmagent_ ? ExternalLabels::win : ExternalLabels::give_way,
                          context_, labels);
      tell_of_vmagent(global, labels);
      is_refused = !apply_rules_of_all(labels);
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

  /// Those of `patterns` that no file of this content fits.
  std::string missing(const Setting& patterns, Content content) const {
    std::string names;
    for (const auto& pattern : patterns.items) {
      const auto fits = [&](const NamedFile& file) {
        return content_of(file.root) == content &&
               ::fnmatch(base_name(pattern.text).c_str(), base_name(file.name).c_str(), 0) == 0;
      };
      if (std::ranges::any_of(context_.named_files, fits)) continue;
      names += cat(names.empty() ? "" : ", ", one_line(pattern.text));
    }
    return names;
  }

  /// The same of a job's file_sd_configs.
  std::string missing_files(const Setting& job) const {
    std::string names;
    const auto* const configs = job.find("file_sd_configs");
    for (const auto& config : configs == nullptr ? std::vector<Setting>() : configs->items) {
      const auto* const files = config.find("files");
      const auto some = files == nullptr ? std::string() : missing(*files, Content::targets);
      if (!some.empty()) names += cat(names.empty() ? "" : ", ", some);
    }
    return names;
  }

  static void add_targets(const Setting& job, const Setting* configs,
                          std::vector<StaticTarget>& found) {
    if (configs == nullptr) return;
    for (const auto& config : configs->items) {
      const auto* const targets = config.find("targets");
      if (targets == nullptr) continue;
      for (const auto& target : targets->items) found.push_back({&job, &config, &target});
    }
  }

  /// Those that are written out, here or in a file that was given.
  std::vector<StaticTarget> targets_of(const Setting& job) const {
    std::vector<StaticTarget> found;
    add_targets(job, job.find("static_configs"), found);
    const auto* const configs = job.find("file_sd_configs");
    for (const auto& file : context_.named_files) {
      if (configs == nullptr || content_of(file.root) != Content::targets) continue;
      const auto names_it = [&](const Setting& config) {
        const auto* const files = config.find("files");
        return files != nullptr && std::ranges::any_of(files->items, [&](const Setting& pattern) {
                 return ::fnmatch(base_name(pattern.text).c_str(), base_name(file.name).c_str(),
                                  0) == 0;
               });
      };
      if (std::ranges::any_of(configs->items, names_it)) add_targets(job, &file.root, found);
    }
    return found;
  }

  /// vmagent's -remoteWrite.relabelConfig, for whatever is sent. False where it lets nothing through.
  bool apply_rules_of_all(SampleLabels& labels) {
    for (const auto& file : context_.named_files) {
      if (content_of(file.root) != Content::rules) continue;
      context_.notes.different(
          {file.name, 0},
          "rules: taken as those of -remoteWrite.relabelConfig, for every endpoint");
      std::vector<const Setting*> rules;
      for (const auto& rule : file.root.items) rules.push_back(&rule);
      const CarriedRules carried{imported_.relabel_of_all, has_others()};
      const auto refused = apply_rules(rules, "relabelConfig", context_, labels, &carried);
      if (!refused) continue;
      imported_.why_nothing = cat("no sample of this host passes its rules: ", refused->why);
      context_.notes.left_out(refused->at, imported_.why_nothing);
      return false;
    }
    return true;
  }

  bool has_others() const { return !imported_.scrapes.empty() || !imported_.probes.empty(); }

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

  /// The targets of a job but this host's node_exporter.
  void add_scrapes(const Setting& job, const ScrapeDefaults& defaults) {
    std::vector<ForeignTarget> targets;
    // What the job of this host says is told where that is carried over.
    Notes quiet;
    const bool is_own = own_.job == &job;
    ConvertContext context{is_own ? quiet : context_.notes, context_.env, context_.named_files};
    MappingReader part(&job, cat("scrape_configs: job ", quoted(job_name(job))), context);
    const auto rules = part.all("relabel_configs");
    bool has_processes = false;
    for (const auto& [of_job, config, address] : targets_of(job)) {
      if (address == own_.target) continue;
      if (is_node_exporter(address->text)) {
        context_.notes.left_out(address->at, cat("scrape_configs: job ", quoted(job_name(job)),
                                                 ": ", collected_once(address->text)));
        continue;
      }
      if (!imported_.process_groups.empty() && is_process_exporter(address->text)) {
        context_.notes.different(address->at,
                                 cat("scrape_configs: job ", quoted(job_name(job)), ": ",
                                     quoted(without_login(address->text)), kProcessesAreOurs));
        has_processes = true;
        continue;
      }
      ForeignTarget target{address->at, {{"__address__", address}}, rules};
      if (const auto* const labels = config->find("labels"); labels != nullptr) {
        for (const auto& entry : labels->entries)
          target.labels.emplace_back(entry.key, &entry.value);
      }
      targets.push_back(std::move(target));
    }
    if (targets.empty() && (is_own || has_processes)) return;
    part.find("static_configs");
    if (!is_own) name_discovery(job, part, targets.empty());
    const auto metric_rules =
        carry_rules(part.all("metric_relabel_configs"), "metric_relabel_configs", context);
    convert_scrape(part, defaults, job_name(job), targets, metric_rules,
                   is_own ? context_ : context, imported_);
  }

  /// Whoever finds targets by asking others is named, with its line.
  void name_discovery(const Setting& job, MappingReader& part, bool is_all) {
    for (const auto& [key, at, value] : job.entries) {
      if (!key.ends_with("_sd_configs")) continue;
      part.find(key);
      const auto path = part.path(one_line(key));
      if (key != "file_sd_configs") {
        context_.notes.left_out(at, cat(path,
                                        ": its targets are not in this file; write them as "
                                        "targets under scrape",
                                        is_all ? ", or keep what scrapes them" : ""));
      } else if (const auto files = missing_files(job); !files.empty()) {
        context_.notes.left_out(at, cat(path, ": ", kFilesOfTargets, files));
      }
    }
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
    const CarriedRules carried{imported_.relabel};
    if (!refused) {
      refused = apply_rules(metric_rules, "metric_relabel_configs", context_, labels, &carried);
    }
    finish_job(part);
    if (!refused) return true;
    if (has_others()) {  // the agent collects them in any case
      context_.notes.different(refused->at,
                               cat("this host's samples are sent, too: ", refused->why));
      return true;
    }
    imported_.why_nothing = cat("a rule of the job ", quoted(job.value_or("")),
                                " takes all of this host's samples away: ", refused->why);
    context_.notes.left_out(refused->at, imported_.why_nothing);
    return false;
  }

  void map_targets(MappingReader& job, SampleLabels& labels) {
    bool is_read = false;
    for (const auto* const config : job.all("static_configs")) {
      MappingReader of_config(config, "static_configs", context_);
      of_config.find("targets");
      if (config == own_.config) {
        add_labels(of_config, "labels", context_, labels);
        is_read = true;
      } else {
        of_config.find("labels");  // of targets that are named above
      }
      of_config.finish();
    }
    job.find("file_sd_configs");
    if (const auto files = missing_files(*own_.job); !files.empty()) {
      job.left_out("file_sd_configs", cat(kFilesOfTargets, files));
    }
    if (is_read) return;
    MappingReader of_file(own_.config, "targets", context_);
    add_labels(of_file, "labels", context_, labels);
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
    };
    part.finish(kKeys);
  }

  /// Which agent's rule was taken for external_labels, where it makes a difference.
  void tell_of_vmagent(const MappingReader& global, const SampleLabels& labels) {
    if (is_vmagent_) {
      context_.notes.left_out(
          {},
          cat("vmagent's command line is not in this file: write the labels of -remoteWrite.label, "
              "which overwrite all others, under labels",
              has_rules_ ? "" : "; name the file of -remoteWrite.relabelConfig behind this one",
              "; write the rules of -remoteWrite.urlRelabelConfig under relabel of the endpoint"));
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
    const CarriedRules carried{endpoint->relabel, has_others()};
    if (const auto refused =
            apply_rules(rules, "write_relabel_configs", context_, labels, &carried)) {
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
  bool has_rules_ = false;  // of vmagent, in a file that was given
};

}  // namespace

ImportedConfig map_prometheus(const Setting& root, bool has_vmagent_variables,
                              ConvertContext& context) {
  return PrometheusMapper(root, has_vmagent_variables, context).map();
}

}  // namespace msp::import
