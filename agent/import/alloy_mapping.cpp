#include "agent/import/alloy_mapping.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/text.h"
#include "agent/config/document.h"
#include "agent/import/alloy_pipeline.h"
#include "agent/import/alloy_unused.h"
#include "agent/import/endpoint.h"
#include "agent/import/external_labels.h"
#include "agent/import/host_target.h"
#include "agent/import/label_settings.h"
#include "agent/import/process_exporter.h"
#include "agent/import/receiver.h"
#include "agent/import/relabel.h"
#include "agent/import/scrape_job.h"
#include "agent/import/unix_exporter.h"
#include "agent/import/yaml_settings.h"

namespace msp::import {
namespace {

using Kind = Setting::Kind;

// prometheus.scrape's and prometheus.exporter.unix's own.
constexpr std::string_view kAlloyInterval = "1m";
constexpr std::string_view kAlloyJob = "integrations/unix";

constexpr Explanation kRelabelKeys[] = {{"max_cache_size", Note::Kind::different, "not needed"}};

class AlloyMapper {
 public:
  AlloyMapper(const std::vector<AlloyComponent>& components, ConvertContext& context)
      : context_(context), components_(components), pipeline_(components) {
    for (const auto& component : components) {
      if (pipeline_.has(component)) continue;
      left_out(component, component.kind.empty() ? "an attribute outside of every block"
                                                 : "a second block of this name");
      seen_.insert(&component);
    }
  }

  ImportedConfig map() {
    if (const auto* const windows = find_windows()) {
      imported_.collects_nothing = true;
      imported_.why_nothing = cat(one_line(windows->id),
                                  " reads a Windows host, and msp-agent runs on Linux only: keep "
                                  "Alloy on that host");
      return std::move(imported_);
    }
    scrapes_of_host_ = find_scrapes_of_host();
    const auto& scrapes = scrapes_of_host_;
    for (const auto& component : components_) {
      if (component.kind == "prometheus.scrape" && pipeline_.has(component)) {
        add_processes(component);
      }
    }
    for (const auto& component : components_) {
      if (component.kind != "prometheus.scrape" || !pipeline_.has(component)) continue;
      const bool is_of_host =
          std::find(scrapes.begin(), scrapes.end(), &component) != scrapes.end();
      add_scrapes(component, is_of_host);
    }
    for (const auto* const scrape : scrapes) {
      if (scrape != scrapes.front()) {
        left_out(*scrape, cat("a second scrape of this host; msp-agent scrapes as ",
                              scrapes.front()->id, " did"));
      }
      map_scrape(*scrape, scrape == scrapes.front());
    }
    if (scrapes.empty()) map_without_scrape();
    if (has_exporter_) offer_uptime(context_, imported_);
    for (const auto& component : components_) {
      if (component.kind == "prometheus.receive_http" && pipeline_.has(component)) {
        add_receiver(component);
      }
    }
    for (const auto& component : components_) {
      if (!seen_.contains(&component)) name_unused(component);
    }
    if (imported_.endpoints.empty() && imported_.why_nothing.empty() && has_remote_configuration_) {
      imported_.why_nothing =
          "its pipelines come from the server of remotecfg; convert what that server has for this "
          "host";
    }
    return std::move(imported_);
  }

 private:
  void left_out(const AlloyComponent& component, std::string_view why) {
    context_.notes.left_out(component.at(), cat(one_line(component.id), ": ", why));
  }

  /// What makes it a configuration of a Windows host; null: it is none.
  const AlloyComponent* find_windows() const {
    const AlloyComponent* found = nullptr;
    for (const auto& component : components_) {
      if (component.kind == "prometheus.exporter.unix") return nullptr;
      if (component.kind == "prometheus.exporter.windows") found = &component;
    }
    return found;
  }

  /// Those that read prometheus.exporter.unix; without any, the one that scrapes this host's
  /// node_exporter.
  std::vector<const AlloyComponent*> find_scrapes_of_host() {
    std::vector<const AlloyComponent*> scrapes;
    std::vector<std::pair<const AlloyComponent*, const Setting*>> targets;
    std::vector<TargetCandidate> candidates;
    for (const auto& component : components_) {
      if (component.kind != "prometheus.scrape" || seen_.contains(&component)) continue;
      if (pipeline_.reads_unix_exporter(component)) scrapes.push_back(&component);
      for (const auto* const target : pipeline_.literals(component)) {
        targets.emplace_back(&component, target);
        candidates.push_back(candidate_of(*target, component));
      }
    }
    if (!scrapes.empty()) return scrapes;
    const auto chosen = choose_node_exporter(candidates);
    if (!chosen) return scrapes;
    node_exporter_ = targets[chosen->index].second;
    scrapes.push_back(targets[chosen->index].first);
    if (!chosen->is_certain) {
      context_.notes.different(node_exporter_->at,
                               taken_for_node_exporter(candidates[chosen->index].address));
    }
    return scrapes;
  }

  /// Those of prometheus.exporter.process that a scrape reads.
  void add_processes(const AlloyComponent& scrape) {
    const auto* const list = scrape.body.find("targets");
    if (list == nullptr) return;
    const auto is_of_host = std::ranges::find(scrapes_of_host_, &scrape) != scrapes_of_host_.end();
    const auto origins = pipeline_.origins(list);
    for (const auto* const origin : origins) {
      if (origin->kind != "prometheus.exporter.process" || seen_.contains(origin)) continue;
      if (!is_of_host && seen_.insert(&scrape).second && !goes_where_this_host_goes(scrape)) return;
      seen_.insert(origin);
      convert_process_component(origin->body, origin->id, context_, imported_);
      if (is_of_host || origins.size() > 1 || !pipeline_.literals(scrape).empty()) continue;
      MappingReader part(&scrape.body, one_line(scrape.id), context_);
      for (const auto* const key : {"targets", "forward_to", "scrape_interval", "job_name"}) {
        part.find(key);
      }
      finish_scrape(part);
    }
  }

  /// The targets that are written out, but for this host's node_exporter.
  void add_scrapes(const AlloyComponent& scrape, bool is_of_host) {
    std::vector<ForeignTarget> targets;
    const auto* const list = scrape.body.find("targets");
    if (list == nullptr) return;
    for (const auto* const origin : pipeline_.origins(list)) {
      if (origin->kind == "prometheus.exporter.blackbox") add_blackbox(*origin, *list, targets);
    }
    for (const auto* const literal : pipeline_.literals(scrape)) {
      if (literal == node_exporter_ || pipeline_.is_of_unix_exporter(*literal)) continue;
      if (literal->find("__address__") == nullptr) continue;
      if (const auto address = candidate_of(*literal, scrape).address; is_node_exporter(address)) {
        seen_.insert(&scrape);
        context_.notes.left_out(literal->at,
                                cat(one_line(scrape.id), ": ", collected_once(address)));
        continue;
      }
      ForeignTarget target{literal->at, {}, {}};
      for (const auto& entry : literal->entries)
        target.labels.emplace_back(entry.key, &entry.value);
      add_rules(pipeline_.relabels_of_host(list, literal), target);
      targets.push_back(std::move(target));
    }
    if (targets.empty()) return;
    seen_.insert(&scrape);
    if (!is_of_host && !goes_where_this_host_goes(scrape)) return;
    // What the scrape of this host says is told where that is carried over.
    Notes quiet;
    ConvertContext context{is_of_host ? quiet : context_.notes, context_.env, context_.named_files};
    MappingReader part(&scrape.body, scrape.id, context);
    part.find("targets");
    if (!is_of_host) name_origins(part, *list);
    ImportedRules rules;
    rules_on_way(part.all("forward_to"), rules, targets);
    const auto job = part.text("job_name").value_or(escape_dollars(scrape.id));
    convert_scrape(part, {}, job, targets, rules, is_of_host ? context_ : context, imported_);
  }

  void add_rules(const std::vector<const AlloyComponent*>& relabels, ForeignTarget& target) {
    for (const auto* const relabel : relabels) {
      seen_.insert(relabel);
      MappingReader part(&relabel->body, relabel->id, context_);
      for (const auto* const rule : part.all("rule")) target.rules.push_back(rule);
      part.find("targets");
      part.finish();
    }
  }

  std::set<const AlloyComponent*> writers_of(const AlloyComponent& one) const {
    const auto* const receivers = one.body.find("forward_to");
    return receivers == nullptr ? std::set<const AlloyComponent*>{}
                                : pipeline_.writers({receivers});
  }

  /// Whoever reads the samples of another target must be one who reads this host's.
  bool goes_where_this_host_goes(const AlloyComponent& scrape) {
    const auto theirs = writers_of(scrape);
    std::set<const AlloyComponent*> ours;
    for (const auto* const one : scrapes_of_host_) ours.merge(writers_of(*one));
    if (scrapes_of_host_.empty()) {
      for (const auto& one : components_) {
        if (one.kind == "prometheus.remote_write") ours.insert(&one);
      }
    }
    std::string names;
    bool is_somewhere = false;
    for (const auto* const writer : theirs) {
      names += cat(names.empty() ? "" : ", ", one_line(writer->id));
      is_somewhere = is_somewhere || ours.contains(writer);
    }
    if (!is_somewhere) {
      left_out(scrape, names.empty() ? std::string("its samples come to no prometheus.remote_write")
                                     : cat("its samples go to ", names,
                                           ", and this host's do not; "
                                           "msp-agent sends all to every endpoint"));
    } else if (theirs != ours) {
      context_.notes.different(scrape.at(),
                               cat(one_line(scrape.id), ": its samples went to ", names,
                                   " only; msp-agent sends all to every endpoint: a rule of an "
                                   "endpoint, such as {action: drop, source_labels: [job], regex: "
                                   "..}, keeps them out"));
    }
    return is_somewhere;
  }

  const Setting* text_setting(std::string text, const Place& at) {
    auto& setting = made_.emplace_back();
    setting.kind = Kind::text;
    setting.at = at;
    setting.text = std::move(text);
    return &setting;
  }

  /// The modules that are written in the component; null where they are in a file.
  const Setting* modules_of(const AlloyComponent& exporter) {
    const auto* const text = exporter.body.find("config");
    const auto plain =
        text != nullptr && text->is(Kind::text) ? without_variables(text->text) : std::nullopt;
    if (!plain) return nullptr;
    const auto document = config::parse_document(*plain);
    if (document.root == nullptr) return nullptr;
    // Its lines are those of a text inside the file.
    return &made_.emplace_back(yaml_settings(*document.root, exporter.at().file, context_.notes));
  }

  void add_blackbox(const AlloyComponent& exporter, const Setting& list,
                    std::vector<ForeignTarget>& targets) {
    seen_.insert(&exporter);
    const auto* const modules = modules_of(exporter);
    const auto rules = pipeline_.relabels_of_host(&list, nullptr, &exporter);
    MappingReader part(&exporter.body, exporter.id, context_);
    for (const auto* const key : {"config", "config_file", "probe_timeout_offset"}) part.find(key);
    auto all = part.all("target");
    const auto blocks = all.size();  // a mapping in a list has its labels beside its name
    for (const auto* const one : part.all("targets")) all.push_back(one);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto* const one = all[i];
      ForeignTarget target{one->at, {}, {}, true, modules};
      auto job = text_setting("integrations/blackbox", one->at);
      for (const auto& [key, at, value] : one->entries) {
        if (key == "address" || key == "__address__") {
          target.labels.emplace_back("__param_target", &value);
        } else if (key == "module") {
          target.labels.emplace_back("__param_module", &value);
        } else if (key == "name") {
          job = text_setting(cat("integrations/blackbox/", value.text), at);
        } else if (i >= blocks) {
          target.labels.emplace_back(key, &value);
        } else if (key != "labels") {
          context_.notes.left_out(
              at, cat(one_line(exporter.id), ".target.", one_line(key), ": no target has it"));
        } else {
          for (const auto& label : value.entries)
            target.labels.emplace_back(label.key, &label.value);
        }
      }
      target.labels.emplace_back("instance", text_setting(std::string(kHostNameVariable), one->at));
      target.labels.emplace_back("job", job);
      target.labels.emplace_back("__address__", text_setting("alloy:80", one->at));
      add_rules(rules, target);
      targets.push_back(std::move(target));
    }
    part.finish();
  }

  /// What else a scrape reads than written targets.
  void name_origins(MappingReader& part, const Setting& targets) {
    for (const auto* const origin : pipeline_.origins(&targets)) {
      if (origin->kind == "discovery.relabel" || origin->kind == "prometheus.exporter.blackbox" ||
          seen_.contains(origin)) {
        continue;
      }
      part.left_out("targets", cat(one_line(origin->id), ": its targets are not in this file"));
    }
  }

  /// The rules of prometheus.relabel on the one way to what writes.
  /// The first of them that set one value are the target's: up and its like have that, too.
  void rules_on_way(std::vector<const Setting*> receivers, ImportedRules& rules,
                    std::vector<ForeignTarget>& targets) {
    std::set<const AlloyComponent*> path;
    while (true) {
      std::vector<const Setting*> references;
      for (const auto* const receiver : receivers) collect_references(*receiver, references);
      std::vector<const AlloyComponent*> relabels;
      for (const auto* const reference : references) {
        const auto* const component = pipeline_.exporter_of(reference->text);
        if (component != nullptr && component->kind == "prometheus.relabel") {
          relabels.push_back(component);
        }
      }
      if (relabels.empty()) return;
      if (references.size() > 1 || !path.insert(relabels.front()).second) {
        for (const auto* const relabel : relabels) {
          left_out(*relabel,
                   "more than one way leads on from a scrape of other targets; the rules of "
                   "this one are not theirs");
        }
        return;
      }
      MappingReader part(&relabels.front()->body, relabels.front()->id, context_);
      seen_.insert(relabels.front());
      auto own = part.all("rule");
      while (!own.empty() && rules.empty() && sets_one_value(*own.front())) {
        for (auto& target : targets) target.rules.push_back(own.front());
        own.erase(own.begin());
      }
      for (auto& rule : carry_rules(own, cat(part.name(), ".rule"), context_)) {
        rules.push_back(std::move(rule));
      }
      receivers = part.all("forward_to");
      part.finish(kRelabelKeys);
    }
  }

  static bool sets_one_value(const Setting& rule) {
    return std::ranges::all_of(rule.entries, [](const Setting::Entry& entry) {
      return (entry.key == "target_label" || entry.key == "replacement") &&
             entry.value.is(Kind::text) && entry.value.text.find('$') == std::string::npos;
    });
  }

  void map_scrape(const AlloyComponent& scrape, bool is_first) {
    seen_.insert(&scrape);
    const bool is_exporter = node_exporter_ == nullptr;
    MappingReader part(&scrape.body, scrape.id, context_);
    const auto interval =
        part.duration("scrape_interval", "interval").value_or(std::string(kAlloyInterval));
    if (is_first) imported_.interval = interval;
    if (is_first && scrape.body.find("scrape_interval") == nullptr) {
      part.different("scrape_interval", "not set: 1m, as Alloy has it; msp-agent's own is 15s");
    }
    const auto job = part.text("job_name");
    ImportedLabel label{"job", std::string(kAlloyJob), scrape.at()};
    SampleLabels labels;
    if (is_exporter) {
      labels.set({"instance", "", scrape.at(), ImportedLabel::Value::host_name});
      if (job) part.different("job_name", "not needed: prometheus.exporter.unix sets job itself");
    } else {
      label.text = job.value_or(escape_dollars(scrape.id));
      context_.notes.different(scrape.at(),
                               "node_exporter is not scraped any more: msp-agent reads /proc and "
                               "/sys itself; node_exporter's flags are not in this file, and "
                               "collectors stands for them");
    }
    labels.set(label);  // a target's own one takes its place
    auto refused = map_targets(part, labels);
    labels.scrape(part.text("honor_labels") == "true");
    if (refused) {
      imported_.why_nothing = cat("no sample of this host gets through: ", refused->why);
      context_.notes.left_out(refused->at, imported_.why_nothing);
    }
    std::set<const AlloyComponent*> path;
    for (const auto* const receiver : part.all("forward_to")) {
      if (!refused) follow(*receiver, labels, path);
    }
    finish_scrape(part);
  }

  static void finish_scrape(MappingReader& part) {
    constexpr Explanation kKeys[] = {
        {"scrape_timeout", Note::Kind::different,
         "not needed: nothing is scraped; a mount that hangs has "
         "collectors.filesystem.mount_timeout"},
        {"metrics_path", Note::Kind::different, "not needed: nothing is scraped"},
        {"scheme", Note::Kind::different, "not needed: nothing is scraped"},
        {"basic_auth", Note::Kind::different, "not needed: nothing is scraped"},
        {"tls_config", Note::Kind::different, "not needed: nothing is scraped"},
        {"enable_protobuf_negotiation", Note::Kind::different, "not needed: nothing is scraped"},
        {"scrape_protocols", Note::Kind::different, "not needed: nothing is scraped"},
        {"clustering", Note::Kind::different, "not needed: every server has its own msp-agent"},
    };
    part.finish(kKeys);
  }

  /// The exporter, the targets' labels and the rules of discovery.relabel on the way.
  std::optional<Refusal> map_targets(MappingReader& scrape, SampleLabels& labels) {
    const auto* const targets = scrape.find("targets");
    for (const auto* const origin : pipeline_.origins(targets)) {
      if (origin->kind == "prometheus.exporter.unix") {
        if (seen_.insert(origin).second) map_exporter(*origin);
      } else if (origin->kind != "discovery.relabel" && !seen_.contains(origin)) {
        scrape.left_out("targets", cat(one_line(origin->id), ": its targets are not in this file"));
      }
    }
    map_literals(scrape, labels);
    name_unknown(scrape, *targets, labels);
    for (const auto* const relabel : pipeline_.relabels_of_host(targets, node_exporter_)) {
      seen_.insert(relabel);
      MappingReader part(&relabel->body, relabel->id, context_);
      if (const auto* const further = part.find("targets")) name_unknown(part, *further, labels);
      auto refused = apply_rules(part.all("rule"), cat(relabel->id, ".rule"), context_, labels);
      part.finish();
      if (refused) return refused;
    }
    return std::nullopt;
  }

  void map_exporter(const AlloyComponent& exporter) {
    if (has_exporter_) {
      add_unix_exporter(exporter.body, exporter.id, context_, imported_);
    } else {
      convert_unix_exporter(exporter.body, context_, imported_);
    }
    has_exporter_ = true;
  }

  /// The targets in a list that lead to nothing that is here.
  void name_unknown(MappingReader& part, const Setting& targets, SampleLabels& labels) {
    std::vector<const Setting*> references;
    collect_references(targets, references);
    for (const auto* const reference : references) {
      if (pipeline_.exporter_of(reference->text) != nullptr) continue;
      part.left_out("targets", cat("there is no ", one_line(reference->text)));
    }
    name_computed(part, targets, labels);
    if (!targets.is(Kind::list)) return;
    for (const auto& item : targets.items) name_computed(part, item, labels);
  }

  /// Whether array.combine_maps joins its lists by this label, which then is the same in both.
  static bool is_key_of(const Setting& call, std::string_view name) {
    const auto is_it = [&](const Setting& item) {
      return item.is(Kind::text) && item.text == name;
    };
    return call.items.size() == 3 &&
           std::any_of(call.items[2].items.begin(), call.items[2].items.end(), is_it);
  }

  /// A list of targets that only Alloy makes, such as array.combine_maps(..) of two: the labels that
  /// are written in it are on the samples, or are not.
  void name_computed(MappingReader& part, const Setting& targets, SampleLabels& labels) {
    if (!targets.is(Kind::unknown)) return;
    std::vector<const Setting*> mappings;
    std::vector<std::string> names;
    for (const auto& item : targets.items) collect_literals(item, mappings);
    for (const auto* const mapping : mappings) {
      for (const auto& [name, at, value] : mapping->entries) {
        if (name.starts_with("__") || is_key_of(targets, name)) continue;
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
        labels.set({name, "", at, ImportedLabel::Value::unknown});
      }
    }
    part.left_out("targets",
                  cat(targets.text,
                      names.empty() ? "" : "; its labels are not carried over: ", listed(names)));
  }

  void map_literals(MappingReader& scrape, SampleLabels& labels) {
    const auto* const component = pipeline_.exporter_of(scrape.name());
    if (component == nullptr) return;
    for (const auto* const target : pipeline_.literals(*component)) {
      const auto address = candidate_of(*target, *component).address;
      const bool is_host = node_exporter_ != nullptr ? target == node_exporter_
                                                     : pipeline_.is_of_unix_exporter(*target);
      if (!is_host) continue;
      for (const auto& [name, at, value] : target->entries) {
        add_label(name, value, at, context_, labels);
      }
      if (node_exporter_ == nullptr) continue;
      labels.set(
          {"__address__", without_login(address), target->at, ImportedLabel::Value::address});
    }
  }

  /// Where samples with `labels` go from here.
  void follow(const Setting& receiver, const SampleLabels& labels,
              std::set<const AlloyComponent*>& path) {
    std::vector<const Setting*> references;
    collect_references(receiver, references);
    if (references.empty()) {
      context_.notes.left_out(receiver.at, "forward_to: a receiver that only Alloy knows");
    }
    for (const auto* const reference : references) {
      const auto* const component = pipeline_.exporter_of(reference->text);
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

  void map_relabel(const AlloyComponent& relabel, SampleLabels labels,
                   std::set<const AlloyComponent*>& path) {
    constexpr std::size_t kStepsMax = 1'000;  // paths multiply where they part and meet again
    if (++steps_ > kStepsMax) return left_out(relabel, "too many ways lead through it");
    seen_.insert(&relabel);
    MappingReader part(&relabel.body, relabel.id, context_);
    const CarriedRules carried{imported_.relabel};
    const auto refused =
        apply_rules(part.all("rule"), cat(relabel.id, ".rule"), context_, labels, &carried);
    const auto receivers = part.all("forward_to");
    part.finish(kRelabelKeys);
    if (refused) {
      imported_.why_nothing =
          cat("no sample of this host gets through ", one_line(relabel.id), ": ", refused->why);
      return context_.notes.left_out(refused->at, imported_.why_nothing);
    }
    for (const auto* const receiver : receivers) follow(*receiver, labels, path);
  }

  void map_remote_write(const AlloyComponent& remote_write, SampleLabels labels) {
    if (!seen_.insert(&remote_write).second) {
      return left_out(remote_write,
                      "samples come to it on a second way; msp-agent sends each once");
    }
    MappingReader part(&remote_write.body, remote_write.id, context_);
    labels.end_of_host();
    const auto* const external = remote_write.body.find("external_labels");
    if (external != nullptr && imported_.external_labels.empty()) {
      for (const auto& [name, at, value] : external->entries) {
        if (value.is(Kind::text)) imported_.external_labels.push_back({name, value.text, at});
      }
    }
    add_external_labels(part, ExternalLabels::give_way, context_, labels);
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
                    SampleLabels labels) {
    MappingReader part(&setting, cat(remote_write.id, ".endpoint"), context_);
    const auto rules = part.all("write_relabel_config");
    auto endpoint = convert_endpoint(part, context_, remote_write.id);
    if (!endpoint) return;
    const auto rules_name = cat(part.name(), ".write_relabel_config");
    const CarriedRules carried{endpoint->relabel, has_others()};
    if (const auto refused = apply_rules(rules, rules_name, context_, labels, &carried)) {
      imported_.why_nothing = cat("no sample of this host passes its rules: ", refused->why);
      return context_.notes.left_out(
          refused->at,
          cat(part.name(), ": the whole endpoint is left out, for ", imported_.why_nothing));
    }
    endpoint->labels = labels.all();
    imported_.endpoints.push_back(std::move(*endpoint));
  }

  bool has_others() const { return !imported_.scrapes.empty() || !imported_.probes.empty(); }

  /// No scrape of this host: what is there is taken as it is.
  void map_without_scrape() {
    SampleLabels labels;
    labels.set({"instance", "", {}, ImportedLabel::Value::host_name});
    labels.set({"job", std::string(kAlloyJob)});
    labels.scrape(false);
    for (const auto& component : components_) {
      if (seen_.contains(&component)) continue;
      if (component.kind == "prometheus.exporter.unix") {
        seen_.insert(&component);
        map_exporter(component);
      } else if (component.kind == "prometheus.remote_write") {
        map_remote_write(component, labels);
      }
    }
    if (imported_.endpoints.empty()) return;
    context_.notes.different({},
                             "no prometheus.scrape reads prometheus.exporter.unix or this host's "
                             "node_exporter; msp-agent collects with its default interval and "
                             "writes to every prometheus.remote_write");
  }

  /// What others send must go where this host's own samples go.
  void add_receiver(const AlloyComponent& receiver) {
    seen_.insert(&receiver);
    if (imported_.listen) {
      return left_out(receiver, "a second receiver; msp-agent listens at one address");
    }
    const auto theirs = writers_of(receiver);
    if (!std::ranges::any_of(theirs, [&](const auto* writer) { return seen_.contains(writer); })) {
      return left_out(receiver,
                      "what it receives does not go where this host's samples go; msp-agent sends "
                      "all to every endpoint");
    }
    MappingReader part(&receiver.body, receiver.id, context_);
    name_rules_of_received(part.all("forward_to"));
    for (const auto* const writer : theirs) {
      name_of_received(*writer, "external_labels", writer->body);
      for (const auto& [key, at, value] : writer->body.entries) {
        if (key == "endpoint") name_of_received(*writer, "write_relabel_config", value);
      }
    }
    for (const auto& component : components_) {
      if (component.kind != "prometheus.remote_write" || theirs.contains(&component)) continue;
      if (!seen_.contains(&component)) continue;
      part.different("forward_to", cat(one_line(component.id), " gets what is received as well: ",
                                       "msp-agent sends all to every endpoint"));
    }
    imported_.listen = convert_receiver(part);
  }

  /// The rules of prometheus.relabel on the way from `receivers`.
  void name_rules_of_received(const std::vector<const Setting*>& receivers) {
    std::vector<const Setting*> references;
    for (const auto* const one : receivers) collect_references(*one, references);
    std::set<const AlloyComponent*> named;
    for (std::size_t i = 0; i < references.size(); ++i) {
      const auto* const component = pipeline_.exporter_of(references[i]->text);
      const bool is_relabel = component != nullptr && component->kind == "prometheus.relabel";
      if (!is_relabel || !named.insert(component).second) continue;
      seen_.insert(component);
      name_of_received(*component, "rule", component->body);
      const auto* const further = component->body.find("forward_to");
      if (further != nullptr) collect_references(*further, references);
    }
  }

  void name_of_received(const AlloyComponent& component, std::string_view key,
                        const Setting& mapping) {
    const auto* const found = mapping.find(key);
    if (found == nullptr) return;
    // All of the rules are meant, with all that is beside them.
    context_.notes.left_out(
        key == "rule" ? component.at() : found->at,
        cat(one_line(component.id), ": ", key,
            ": not for what is received, which msp-agent hands on as it comes; a label "
            "can be one of listen.clients.labels"));
  }

  /// A component that is not on the way of this host's metrics.
  void name_unused(const AlloyComponent& component) {
    const auto& kind = component.kind;
    if (kind == "local.file") return map_file(component);
    if (kind == "logging") return map_logging(component);
    if (kind == "prometheus.scrape") {
      return left_out(component, "none of its targets is written in this file");
    }
    if (kind == "http" || kind == "livedebugging") {
      return context_.notes.different(component.at(),
                                      cat(kind, ": not needed: msp-agent has no user interface"));
    }
    has_remote_configuration_ = has_remote_configuration_ || kind == "remotecfg";
    left_out(component, why_not_carried_over(kind));
  }

  /// Where its content is used, the path is used instead.
  void map_file(const AlloyComponent& component) {
    MappingReader part(&component.body, component.id, context_);
    for (const auto* const key : {"filename", "is_secret", "detector", "poll_frequency"}) {
      part.find(key);
    }
    part.finish();
  }

  void map_logging(const AlloyComponent& component) {
    MappingReader part(&component.body, "logging", context_);
    const auto level = part.text("level");
    if (level && (*level == "debug" || *level == "error")) imported_.log_level = *level;
    if (level && *level == "warn") imported_.log_level = "warning";
    constexpr Explanation kKeys[] = {
        {"format", Note::Kind::different, "msp-agent writes lines for people and journald"}};
    part.finish(kKeys);
  }

  ConvertContext& context_;
  const std::vector<AlloyComponent>& components_;
  AlloyPipeline pipeline_;
  std::vector<const AlloyComponent*> scrapes_of_host_;
  std::deque<Setting> made_;  // what Alloy sets itself
  ImportedConfig imported_;
  std::set<const AlloyComponent*> seen_;
  const Setting* node_exporter_ =
      nullptr;  // its target; null where prometheus.exporter.unix is read
  bool has_exporter_ = false;
  bool has_remote_configuration_ = false;
  std::size_t steps_ = 0;
};

}  // namespace

ImportedConfig map_alloy(const std::vector<AlloyComponent>& components, ConvertContext& context) {
  return AlloyMapper(components, context).map();
}

}  // namespace msp::import
