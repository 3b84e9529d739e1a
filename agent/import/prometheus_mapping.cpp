#include "agent/import/prometheus_mapping.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/text.h"
#include "agent/import/endpoint.h"
#include "agent/import/host_target.h"
#include "agent/import/relabel.h"

namespace msp {
namespace {

using Kind = Setting::Kind;

constexpr std::string_view kPrometheusInterval = "1m";

class PrometheusMapper {
 public:
  PrometheusMapper(const Setting& root, ConvertContext& context)
      : context_(context), top_(&root, "", context) {}

  Draft map() {
    auto global = top_.part("global");
    const auto interval = global.duration("scrape_interval", 1'000, 3'600'000);
    const auto jobs = top_.all("scrape_configs");
    const auto* const host_job = choose(jobs);
    DraftLabels labels;
    for (const auto* const job : jobs) {
      if (job == host_job) {
        map_job(*job, interval, labels);
      } else {
        const auto* const name = job->find("job_name");
        context_.notes.left_out(
            job->at, cat("scrape_configs: job ", quoted(name != nullptr ? name->text : ""),
                         ": not this host's node_exporter; msp-agent scrapes "
                         "nothing, keep Prometheus or vmagent for it"));
      }
    }
    if (host_job == nullptr) {
      if (interval) draft_.interval = *interval;
      context_.notes.different({},
                               "no job scrapes this host's node_exporter (port 9100 of "
                               "localhost); msp-agent collects with its default collectors");
    }
    add_labels(global, "external_labels", LabelUse::gives_way, context_, labels);
    finish_global(global);
    for (const auto* const setting : top_.all("remote_write")) map_endpoint(*setting, labels);
    finish();
    return std::move(draft_);
  }

 private:
  /// Calls `visit` with each static target of a job.
  template <typename Visit>
  static void each_target(const Setting& job, Visit visit) {
    const auto* const configs = job.find("static_configs");
    if (configs == nullptr) return;
    for (const auto& config : configs->items) {
      const auto* const targets = config.find("targets");
      if (targets == nullptr) continue;
      for (const auto& target : targets->items) visit(config, target);
    }
  }

  /// The job of this host's node_exporter: one on localhost, or the only target on its port.
  const Setting* choose(const std::vector<const Setting*>& jobs) {
    const Setting* own = nullptr;
    const Setting* only = nullptr;
    int count = 0;
    for (const auto* const job : jobs) {
      each_target(*job, [&](const Setting& config, const Setting& target) {
        if (is_own_node_exporter(target.text) && own == nullptr) {
          own = job;
          own_config_ = &config;
          own_target_ = &target;
        }
        if (is_node_exporter(target.text) && ++count == 1) {
          only = job;
          only_config_ = &config;
          only_target_ = &target;
        }
      });
    }
    if (own != nullptr) return own;
    if (count != 1) return nullptr;
    own_config_ = only_config_;
    own_target_ = only_target_;
    context_.notes.different(only_target_->at, cat("the target ", quoted(only_target_->text),
                                                   " is taken for this host's node_exporter"));
    return only;
  }

  void map_job(const Setting& setting, const std::optional<std::string>& interval,
               DraftLabels& labels) {
    Part part(&setting, "scrape_configs", context_);
    const auto own_interval = part.duration("scrape_interval", 1'000, 3'600'000);
    draft_.interval = own_interval.value_or(interval.value_or(std::string(kPrometheusInterval)));
    if (!own_interval && !interval) {
      part.different("scrape_interval",
                     "not set: 1m, as Prometheus has it; msp-agent's own is 15s");
    }
    if (const auto job = part.text("job_name")) set_label(labels, {"job", *job, part.at(), false});
    context_.notes.different(part.at(),
                             "node_exporter is not scraped any more: msp-agent reads /proc "
                             "and /sys itself; instance is the host's name");
    for (const auto* const config : part.all("static_configs")) {
      Part of_config(config, "static_configs", context_);
      for (const auto* const target : of_config.all("targets")) {
        if (target == own_target_) continue;
        context_.notes.left_out(target->at, cat("static_configs.targets: ", quoted(target->text),
                                                ": msp-agent scrapes nothing"));
      }
      if (config == own_config_) {
        add_labels(of_config, "labels", LabelUse::replaces, context_, labels);
      } else {
        of_config.find("labels");  // of targets that are named above
      }
      of_config.finish();
    }
    apply_rules(part.all("relabel_configs"), "relabel_configs", context_, labels);
    apply_rules(part.all("metric_relabel_configs"), "metric_relabel_configs", context_, labels);
    constexpr Explanation kKeys[] = {
        {"scrape_timeout", Note::Kind::different,
         "not needed: nothing is scraped; a mount that hangs has "
         "collectors.filesystem.mount_timeout"},
        {"honor_labels", Note::Kind::different, "not needed: nothing is scraped"},
        {"metrics_path", Note::Kind::different, "not needed: nothing is scraped"},
        {"scheme", Note::Kind::different, "not needed: nothing is scraped"},
        {"params", Note::Kind::left_out,
         "collect[] is collectors.enabled in msp-agent; write its names there"},
    };
    part.finish(kKeys);
  }

  static void finish_global(Part& global) {
    constexpr Explanation kKeys[] = {
        {"scrape_timeout", Note::Kind::different, "not needed: nothing is scraped"},
        {"evaluation_interval", Note::Kind::different, "not needed: msp-agent evaluates no rules"},
    };
    global.finish(kKeys);
  }

  void map_endpoint(const Setting& setting, const DraftLabels& labels) {
    Part part(&setting, "remote_write", context_);
    const auto rules = part.all("write_relabel_configs");
    const auto* const name = setting.find("name");
    const bool is_named = name != nullptr && name->is(Kind::text);
    auto endpoint = convert_endpoint(part, context_,
                                     is_named ? cat("remote_write ", name->text) : "remote_write");
    if (!endpoint) return;
    endpoint->labels = labels;
    apply_rules(rules, "write_relabel_configs", context_, endpoint->labels);
    draft_.endpoints.push_back(std::move(*endpoint));
  }

  void finish() {
    constexpr Explanation kKeys[] = {
        {"rule_files", Note::Kind::left_out, "msp-agent evaluates no rules; do it at the centre"},
        {"alerting", Note::Kind::left_out, "msp-agent sends no alerts; do it at the centre"},
        {"remote_read", Note::Kind::left_out, "msp-agent keeps nothing that could be read"},
        {"scrape_config_files", Note::Kind::left_out, "msp-agent scrapes nothing"},
        {"storage", Note::Kind::different,
         "not needed: msp-agent has a disk buffer; how long and how much it keeps is "
         "buffer.max_age and buffer.max_size"},
        {"tracing", Note::Kind::left_out, "msp-agent sends no traces"},
    };
    top_.finish(kKeys);
  }

  ConvertContext& context_;
  Part top_;
  Draft draft_;
  const Setting* own_config_ = nullptr;
  const Setting* own_target_ = nullptr;
  const Setting* only_config_ = nullptr;
  const Setting* only_target_ = nullptr;
};

}  // namespace

Draft map_prometheus(const Setting& root, ConvertContext& context) {
  return PrometheusMapper(root, context).map();
}

}  // namespace msp
