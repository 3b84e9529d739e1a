// How the components of an Alloy configuration lead to one another: what exports what, where the
// targets of a scrape come from.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/import/alloy_components.h"
#include "agent/import/host_target.h"

namespace msp::import {

class AlloyPipeline {
 public:
  /// `components` outlives the pipeline. Of two with one name the first counts.
  explicit AlloyPipeline(const std::vector<AlloyComponent>& components);

  /// Whether it is the component that its name stands for.
  bool has(const AlloyComponent& component) const;

  /// The component that exports what `reference` names: the longest name that fits. Or null.
  const AlloyComponent* exporter_of(std::string_view reference) const;

  /// Everything that leads into `targets`, nearest first, each once.
  std::vector<const AlloyComponent*> origins(const Setting* targets) const;

  /// The targets that are written out in a scrape, or in discovery.relabel on the way to it.
  std::vector<const Setting*> literals(const AlloyComponent& scrape) const;

  bool reads_unix_exporter(const AlloyComponent& scrape) const;
  /// Whether a literal target is made of one of prometheus.exporter.unix.
  bool is_of_unix_exporter(const Setting& target) const;

  /// The discovery.relabel through which this host comes into `targets`, in the order of its way;
  /// `node_exporter` is its target, null where prometheus.exporter.unix is read. With `exporter` its
  /// targets, not those of this host.
  std::vector<const AlloyComponent*> relabels_of_host(
      const Setting* targets, const Setting* node_exporter,
      const AlloyComponent* exporter = nullptr) const;

  /// The prometheus.remote_write that samples come to from `receivers`.
  std::set<const AlloyComponent*> writers(const std::vector<const Setting*>& receivers) const;

 private:
  struct Way;
  bool find_way(const Setting& targets, Way& way) const;

  std::map<std::string, const AlloyComponent*, std::less<>> by_id_;
};

/// The mappings in a list, wherever they stand in it, but in what only Alloy computes.
void collect_literals(const Setting& setting, std::vector<const Setting*>& out);

/// What a literal target is, of a scrape.
TargetCandidate candidate_of(const Setting& target, const AlloyComponent& scrape);

}  // namespace msp::import
