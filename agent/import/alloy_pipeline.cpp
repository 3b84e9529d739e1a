#include "agent/import/alloy_pipeline.h"

#include <algorithm>
#include <set>

namespace msp::import {

using Kind = Setting::Kind;

AlloyPipeline::AlloyPipeline(const std::vector<AlloyComponent>& components) {
  for (const auto& component : components) {
    if (!component.kind.empty()) by_id_.emplace(component.id, &component);
  }
}

bool AlloyPipeline::has(const AlloyComponent& component) const {
  const auto found = by_id_.find(component.id);
  return found != by_id_.end() && found->second == &component;
}

const AlloyComponent* AlloyPipeline::exporter_of(std::string_view reference) const {
  while (!reference.empty()) {
    if (const auto found = by_id_.find(reference); found != by_id_.end()) return found->second;
    const auto dot = reference.rfind('.');
    reference = reference.substr(0, dot == reference.npos ? 0 : dot);
  }
  return nullptr;
}

std::vector<const AlloyComponent*> AlloyPipeline::origins(const Setting* targets) const {
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

std::vector<const Setting*> AlloyPipeline::literals(const AlloyComponent& scrape) const {
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

bool AlloyPipeline::reads_unix_exporter(const AlloyComponent& scrape) const {
  const auto found = origins(scrape.body.find("targets"));
  return std::any_of(found.begin(), found.end(), [](const AlloyComponent* origin) {
    return origin->kind == "prometheus.exporter.unix";
  });
}

bool AlloyPipeline::is_of_unix_exporter(const Setting& target) const {
  std::vector<const Setting*> references;
  collect_references(target, references);
  return std::any_of(references.begin(), references.end(), [&](const Setting* reference) {
    const auto* const component = exporter_of(reference->text);
    return component != nullptr && component->kind == "prometheus.exporter.unix";
  });
}

struct AlloyPipeline::Way {
  const Setting* literal;
  const AlloyComponent* exporter;
  std::vector<const AlloyComponent*> relabels = {};  // so far, the nearest to the host first
  std::set<const AlloyComponent*> seen = {};
};

bool AlloyPipeline::find_way(const Setting& targets, Way& way) const {
  std::vector<const Setting*> written;
  collect_literals(targets, written);
  std::vector<const Setting*> references;
  collect_references(targets, references);
  const bool is_here =
      way.literal != nullptr ? std::ranges::find(written, way.literal) != written.end()
      : way.exporter != nullptr
          ? std::ranges::any_of(references,
                                [&](const Setting* reference) {
                                  return exporter_of(reference->text) == way.exporter;
                                })
          : is_of_unix_exporter(targets);
  if (is_here) return true;
  for (const auto* const reference : references) {
    const auto* const component = exporter_of(reference->text);
    const bool is_relabel = component != nullptr && component->kind == "discovery.relabel";
    if (!is_relabel || !way.seen.insert(component).second) continue;
    const auto* const further = component->body.find("targets");
    if (further == nullptr || !find_way(*further, way)) continue;
    way.relabels.push_back(component);
    return true;
  }
  return false;
}

std::vector<const AlloyComponent*> AlloyPipeline::relabels_of_host(
    const Setting* targets, const Setting* node_exporter, const AlloyComponent* exporter) const {
  Way way{node_exporter, exporter};
  if (targets != nullptr) find_way(*targets, way);
  return way.relabels;
}

std::set<const AlloyComponent*> AlloyPipeline::writers(
    const std::vector<const Setting*>& receivers) const {
  std::set<const AlloyComponent*> found;
  std::set<const AlloyComponent*> relabels;
  std::vector<const Setting*> references;
  for (const auto* const receiver : receivers) collect_references(*receiver, references);
  for (std::size_t i = 0; i < references.size(); ++i) {
    const auto* const component = exporter_of(references[i]->text);
    if (component == nullptr) continue;
    if (component->kind == "prometheus.remote_write") found.insert(component);
    if (component->kind != "prometheus.relabel" || !relabels.insert(component).second) continue;
    const auto* const further = component->body.find("forward_to");
    if (further != nullptr) collect_references(*further, references);
  }
  return found;
}

void collect_literals(const Setting& setting, std::vector<const Setting*>& out) {
  if (setting.is(Kind::mapping)) out.push_back(&setting);
  if (setting.is(Kind::unknown)) return;
  for (const auto& item : setting.items) collect_literals(item, out);
}

TargetCandidate candidate_of(const Setting& target, const AlloyComponent& scrape) {
  TargetCandidate candidate;
  const auto* const address = target.find("__address__");
  if (address != nullptr && address->is(Kind::text)) candidate.address = address->text;
  const auto* const name = scrape.body.find("job_name");
  candidate.job = name != nullptr && name->is(Kind::text)
                      ? name->text
                      : scrape.id.substr(std::min(scrape.id.rfind('.') + 1, scrape.id.size()));
  return candidate;
}

}  // namespace msp::import
