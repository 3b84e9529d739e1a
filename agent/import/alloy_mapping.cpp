#include "agent/import/alloy_mapping.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/text.h"
#include "agent/import/endpoint.h"
#include "agent/import/host_target.h"
#include "agent/import/relabel.h"
#include "agent/import/unix_exporter.h"

namespace msp {
namespace {

using Kind = Setting::Kind;

// prometheus.scrape's and prometheus.exporter.unix's own.
constexpr std::string_view kAlloyInterval = "1m";
constexpr std::string_view kAlloyJob = "integrations/unix";

class AlloyMapper {
 public:
  AlloyMapper(const std::vector<AlloyComponent>& components, ConvertContext& context)
      : context_(context) {
    for (const auto& component : components) {
      if (component.kind.empty() || !by_id_.emplace(component.id, &component).second) {
        left_out(component, component.kind.empty() ? "an attribute outside of every block"
                                                   : "a second block of this name");
        seen_.insert(&component);
      }
    }
  }

  Draft map(const std::vector<AlloyComponent>& components) {
    const AlloyComponent* chosen = nullptr;
    for (const auto& component : components) {
      if (component.kind != "prometheus.scrape" || seen_.contains(&component)) continue;
      const auto source = source_of(component);
      if (source == Source::other) continue;
      if (chosen == nullptr) {
        chosen = &component;
        map_scrape(component);
      } else {
        seen_.insert(&component);
        left_out(component,
                 cat("a second scrape of this host; msp-agent scrapes as ", chosen->id, " did"));
      }
    }
    if (chosen == nullptr) map_without_scrape(components);
    for (const auto& component : components) {
      if (!seen_.contains(&component)) name_unused(component);
    }
    return std::move(draft_);
  }

 private:
  enum class Source { exporter, node_exporter, other };

  void left_out(const AlloyComponent& component, std::string_view why) {
    context_.notes.left_out(component.at(), cat(one_line(component.id), ": ", why));
  }

  /// The component that exports what `reference` names: the longest name that fits.
  const AlloyComponent* exporter_of(std::string_view reference) const {
    while (!reference.empty()) {
      if (const auto found = by_id_.find(reference); found != by_id_.end()) return found->second;
      const auto dot = reference.rfind('.');
      reference = reference.substr(0, dot == reference.npos ? 0 : dot);
    }
    return nullptr;
  }

  /// Everything that leads into `targets`, nearest first, each once.
  std::vector<const AlloyComponent*> origins(const Setting* targets) const {
    std::vector<const AlloyComponent*> found;
    std::vector<const Setting*> references;
    if (targets != nullptr) collect_references(*targets, references);
    for (std::size_t i = 0; i < references.size(); ++i) {
      const auto* const component = exporter_of(references[i]->text);
      if (component == nullptr || std::find(found.begin(), found.end(), component) != found.end()) {
        continue;
      }
      found.push_back(component);
      const auto* const further = component->body.find("targets");
      if (component->kind == "discovery.relabel" && further != nullptr) {
        collect_references(*further, references);
      }
    }
    return found;
  }

  /// The literal targets in a list, wherever they stand in it.
  static void collect_literals(const Setting& setting, std::vector<const Setting*>& out) {
    if (setting.is(Kind::mapping)) out.push_back(&setting);
    for (const auto& item : setting.items) collect_literals(item, out);
  }

  std::vector<const Setting*> literals(const AlloyComponent& scrape) const {
    std::vector<const Setting*> found;
    const auto* const targets = scrape.body.find("targets");
    if (targets != nullptr) collect_literals(*targets, found);
    for (const auto* const origin : origins(targets)) {
      const auto* const further = origin->body.find("targets");
      if (origin->kind == "discovery.relabel" && further != nullptr) {
        collect_literals(*further, found);
      }
    }
    return found;
  }

  static std::string address_of(const Setting& target) {
    const auto* const address = target.find("__address__");
    return address != nullptr && address->is(Kind::text) ? address->text : "";
  }

  Source source_of(const AlloyComponent& scrape) const {
    for (const auto* const origin : origins(scrape.body.find("targets"))) {
      if (origin->kind == "prometheus.exporter.unix") return Source::exporter;
    }
    for (const auto* const target : literals(scrape)) {
      if (is_own_node_exporter(address_of(*target))) return Source::node_exporter;
    }
    return Source::other;
  }

  void map_scrape(const AlloyComponent& scrape) {
    seen_.insert(&scrape);
    const bool is_exporter = source_of(scrape) == Source::exporter;
    Part part(&scrape.body, scrape.id, context_);
    draft_.interval =
        part.duration("scrape_interval", 1'000, 3'600'000).value_or(std::string(kAlloyInterval));
    if (scrape.body.find("scrape_interval") == nullptr) {
      part.different("scrape_interval", "not set: 1m, as Alloy has it; msp-agent's own is 15s");
    }
    const auto job = part.text("job_name");
    DraftLabels labels;
    if (is_exporter) {
      set_label(labels, {"job", std::string(kAlloyJob), scrape.at(), false});
      if (job) part.different("job_name", "not needed: prometheus.exporter.unix sets job itself");
    } else {
      set_label(labels, {"job", job.value_or(escape_dollars(scrape.id)), scrape.at(), false});
      context_.notes.different(scrape.at(),
                               "node_exporter is not scraped any more: msp-agent reads "
                               "/proc and /sys itself; instance is the host's name");
    }
    map_targets(part, labels);
    std::set<const AlloyComponent*> path;
    for (const auto* const receiver : part.all("forward_to")) follow(*receiver, labels, path);
    constexpr Explanation kKeys[] = {
        {"scrape_timeout", Note::Kind::different,
         "not needed: nothing is scraped; a mount that hangs has "
         "collectors.filesystem.mount_timeout"},
        {"honor_labels", Note::Kind::different, "not needed: nothing is scraped"},
        {"metrics_path", Note::Kind::different, "not needed: nothing is scraped"},
        {"scheme", Note::Kind::different, "not needed: nothing is scraped"},
        {"enable_protobuf_negotiation", Note::Kind::different, "not needed: nothing is scraped"},
        {"scrape_protocols", Note::Kind::different, "not needed: nothing is scraped"},
        {"clustering", Note::Kind::different, "not needed: every server has its own msp-agent"},
    };
    part.finish(kKeys);
  }

  /// The exporter, the targets' labels and the rules of discovery.relabel on the way.
  void map_targets(Part& scrape, DraftLabels& labels) {
    bool has_exporter = false;
    std::vector<const AlloyComponent*> rules;
    for (const auto* const origin : origins(scrape.find("targets"))) {
      if (origin->kind == "prometheus.exporter.unix") {
        seen_.insert(origin);
        if (has_exporter) {
          left_out(*origin, "a second exporter; msp-agent has one set of collectors");
        } else {
          convert_unix_exporter(origin->body, context_, draft_);
        }
        has_exporter = true;
      } else if (origin->kind == "discovery.relabel") {
        rules.insert(rules.begin(), origin);
      } else {
        scrape.left_out("targets", cat(one_line(origin->id), ": msp-agent scrapes nothing"));
      }
    }
    map_literals(scrape, has_exporter, labels);
    name_unknown(scrape, *scrape.find("targets"));
    for (const auto* const relabel : rules) {
      seen_.insert(relabel);
      Part part(&relabel->body, relabel->id, context_);
      if (const auto* const targets = part.find("targets")) name_unknown(part, *targets);
      apply_rules(part.all("rule"), cat(relabel->id, ".rule"), context_, labels);
      part.finish();
    }
  }

  /// The targets in a list that lead to nothing that is here.
  void name_unknown(Part& part, const Setting& targets) {
    std::vector<const Setting*> references;
    collect_references(targets, references);
    for (const auto* const reference : references) {
      if (exporter_of(reference->text) != nullptr) continue;
      part.left_out("targets", cat("there is no ", one_line(reference->text)));
    }
    if (targets.is(Kind::unknown) && references.empty()) part.left_out("targets", targets.text);
    if (!targets.is(Kind::list)) return;
    for (const auto& item : targets.items) {
      if (item.is(Kind::unknown)) part.left_out("targets", item.text);
    }
  }

  void map_literals(Part& scrape, bool has_exporter, DraftLabels& labels) {
    const auto* const component = exporter_of(scrape.name());
    if (component == nullptr) return;
    for (const auto* const target : literals(*component)) {
      const auto address = address_of(*target);
      if (has_exporter || !is_own_node_exporter(address)) {
        context_.notes.left_out(target->at, cat(scrape.path("targets"), ": ",
                                                address.empty() ? "a target" : quoted(address),
                                                ": msp-agent scrapes nothing"));
        continue;
      }
      for (const auto& [name, at, value] : target->entries) {
        if (!name.starts_with("__")) add_label(name, value, at, context_, labels);
      }
    }
  }

  /// Where samples with `labels` go from here.
  void follow(const Setting& receiver, const DraftLabels& labels,
              std::set<const AlloyComponent*>& path) {
    std::vector<const Setting*> references;
    collect_references(receiver, references);
    if (references.empty()) {
      context_.notes.left_out(receiver.at, "forward_to: a receiver that only Alloy knows");
    }
    for (const auto* const reference : references) {
      const auto* const component = exporter_of(reference->text);
      if (component == nullptr) {
        context_.notes.left_out(reference->at,
                                cat("forward_to: there is no ", one_line(reference->text)));
      } else if (component->kind == "prometheus.remote_write") {
        map_remote_write(*component, labels);
      } else if (component->kind == "prometheus.relabel" && path.insert(component).second) {
        map_relabel(*component, labels, path);
        path.erase(component);
      } else {
        context_.notes.left_out(reference->at, cat("forward_to: ", one_line(component->id),
                                                   ": msp-agent writes to prometheus.remote_write "
                                                   "endpoints only"));
      }
    }
  }

  void map_relabel(const AlloyComponent& relabel, DraftLabels labels,
                   std::set<const AlloyComponent*>& path) {
    constexpr std::size_t kStepsMax = 1'000;  // paths multiply where they part and meet again
    if (++steps_ > kStepsMax) return left_out(relabel, "too many ways lead through it");
    seen_.insert(&relabel);
    Part part(&relabel.body, relabel.id, context_);
    apply_rules(part.all("rule"), cat(relabel.id, ".rule"), context_, labels);
    for (const auto* const receiver : part.all("forward_to")) follow(*receiver, labels, path);
    constexpr Explanation kKeys[] = {{"max_cache_size", Note::Kind::different, "not needed"}};
    part.finish(kKeys);
  }

  void map_remote_write(const AlloyComponent& remote_write, DraftLabels labels) {
    if (!seen_.insert(&remote_write).second) {
      return left_out(remote_write,
                      "samples come to it on a second way; msp-agent sends each once");
    }
    Part part(&remote_write.body, remote_write.id, context_);
    add_labels(part, "external_labels", LabelUse::gives_way, context_, labels);
    for (const auto* const setting : part.all("endpoint"))
      map_endpoint(*setting, remote_write, labels);
    constexpr Explanation kKeys[] = {
        {"wal", Note::Kind::different,
         "not needed: msp-agent has a disk buffer; how long and how much it keeps is "
         "buffer.max_age and buffer.max_size"},
    };
    part.finish(kKeys);
  }

  void map_endpoint(const Setting& setting, const AlloyComponent& remote_write,
                    const DraftLabels& labels) {
    Part part(&setting, cat(remote_write.id, ".endpoint"), context_);
    const auto rules = part.all("write_relabel_config");
    auto endpoint = convert_endpoint(part, context_, remote_write.id);
    if (!endpoint) return;
    endpoint->labels = labels;
    apply_rules(rules, cat(part.name(), ".write_relabel_config"), context_, endpoint->labels);
    draft_.endpoints.push_back(std::move(*endpoint));
  }

  /// No scrape of this host: what is there is taken as it is.
  void map_without_scrape(const std::vector<AlloyComponent>& components) {
    DraftLabels labels;
    set_label(labels, {"job", std::string(kAlloyJob), {}, false});
    for (const auto& component : components) {
      if (seen_.contains(&component)) continue;
      if (component.kind == "prometheus.exporter.unix") {
        if (seen_.insert(&component).second && draft_.collector_options.empty()) {
          convert_unix_exporter(component.body, context_, draft_);
        }
      } else if (component.kind == "prometheus.remote_write") {
        map_remote_write(component, labels);
      }
    }
    if (draft_.endpoints.empty()) return;
    context_.notes.different({},
                             "no prometheus.scrape reads prometheus.exporter.unix or this host's "
                             "node_exporter; msp-agent collects with its default interval and "
                             "writes to every prometheus.remote_write");
  }

  /// A component that is not on the way of this host's metrics.
  void name_unused(const AlloyComponent& component) {
    const auto& kind = component.kind;
    const auto is_family = [&](std::string_view family) { return kind.starts_with(family); };
    if (kind == "local.file") return map_file(component);
    if (kind == "logging") return map_logging(component);
    if (is_family("loki.")) {
      left_out(component, "logs; msp-agent sends this host's metrics only, keep Alloy for it");
    } else if (is_family("pyroscope.") || is_family("beyla.") || is_family("faro.") ||
               kind == "tracing") {
      left_out(component,
               "traces and profiles; msp-agent sends this host's metrics only, keep Alloy "
               "for it");
    } else if (kind == "prometheus.scrape") {
      left_out(component,
               "not this host's metrics; msp-agent scrapes nothing, keep Alloy or vmagent "
               "for it");
    } else if (kind == "prometheus.receive_http") {
      left_out(component, "msp-agent receives nothing; a relay stays with Alloy or vmagent");
    } else if (kind == "prometheus.remote_write" || kind == "prometheus.relabel" ||
               kind == "discovery.relabel") {
      left_out(component, "this host's metrics do not come through it");
    } else if (is_family("otelcol.")) {
      left_out(component,
               "OpenTelemetry; msp-agent sends this host's metrics only, keep Alloy for it");
    } else if (kind == "prometheus.exporter.unix") {
      left_out(component, "a second exporter; msp-agent has one set of collectors");
    } else if (kind == "prometheus.exporter.self") {
      left_out(component, "Alloy's own metrics; msp-agent reports on itself as msp_agent_*");
    } else if (is_family("prometheus.exporter.")) {
      left_out(component, "msp-agent collects this host's metrics only, keep Alloy for it");
    } else if (kind == "declare" || is_family("import.") || kind == "foreach") {
      left_out(component, "what it makes exists only in Alloy; write it out where it is used");
    } else if (kind == "http" || kind == "livedebugging" || kind == "remotecfg") {
      context_.notes.different(component.at(), cat(kind, ": not needed: msp-agent has no port and ",
                                                   "takes its configuration from its file only"));
    } else {
      left_out(component, "msp-agent has nothing like it");
    }
  }

  /// Where its content is used, the path is used instead.
  void map_file(const AlloyComponent& component) {
    Part part(&component.body, component.id, context_);
    for (const auto* const key : {"filename", "is_secret", "detector", "poll_frequency"}) {
      part.find(key);
    }
    part.finish();
  }

  void map_logging(const AlloyComponent& component) {
    Part part(&component.body, "logging", context_);
    const auto level = part.text("level");
    if (level && (*level == "debug" || *level == "error")) draft_.log_level = *level;
    if (level && *level == "warn") draft_.log_level = "warning";
    constexpr Explanation kKeys[] = {
        {"format", Note::Kind::different, "msp-agent writes lines for people and journald"}};
    part.finish(kKeys);
  }

  ConvertContext& context_;
  Draft draft_;
  std::map<std::string, const AlloyComponent*, std::less<>> by_id_;
  std::set<const AlloyComponent*> seen_;
  std::size_t steps_ = 0;
};

}  // namespace

Draft map_alloy(const std::vector<AlloyComponent>& components, ConvertContext& context) {
  return AlloyMapper(components, context).map(components);
}

}  // namespace msp
