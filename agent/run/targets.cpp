#include "agent/run/targets.h"

#include <algorithm>
#include <utility>

#include "agent/base/text.h"
#include "agent/run/make_probe.h"

namespace msp::run {

http::Transfers& Targets::transfers() {
  if (transfers_ == nullptr) {
    transfers_ = std::make_unique<http::Transfers>(http::Transfers::Setup{
        .wakeup = setup_.wakeup, .on_thread_failure = setup_.on_thread_failure});
  }
  return *transfers_;
}

std::unique_ptr<sources::Source> Targets::make(const config::ScrapeTarget& target,
                                               const config::Config& config) {
  const auto& scrape = *target.scrape;
  return std::make_unique<sources::Exporter>(
      sources::SourceOptions{.name = target.name,
                             .labels = target.labels,
                             .interval = target.interval,
                             .series_max = scrape.series_max,
                             .relabel = config.relabel_of(scrape.relabel),
                             .relabel_about = config.relabel_about(),
                             .is_spread = true,
                             .room = setup_.room,
                             .keeps_to_room = true},
      sources::Exporter::Setup{.http = target.http,
                               .body_bytes_max = scrape.body_bytes_max,
                               .normalizes = scrape.normalizes,
                               .honors_timestamps = scrape.honors_timestamps},
      transfers(), real_clock());
}

std::unique_ptr<sources::Source> Targets::make(const config::ProbeTarget& target,
                                               const config::Config& config) {
  return make_probe(target,
                    {.name = target.name,
                     .labels = target.labels,
                     .interval = target.interval,
                     .relabel = config.relabel_of(),
                     .relabel_about = config.relabel_about(),
                     .is_spread = true,
                     .room = setup_.room,
                     .keeps_to_room = true},
                    transfers());
}

template <typename Target, typename IsSame>
void Targets::replace(const std::vector<Target>& targets, std::vector<Target> before,
                      const config::Config& config, const IsSame& is_same,
                      const std::function<void(const std::string& name)>& drop,
                      std::vector<std::unique_ptr<sources::Source>>& sources) {
  for (const auto& target : targets) {
    const auto old = std::find_if(before.begin(), before.end(),
                                  [&](const auto& one) { return one.name == target.name; });
    const bool stays = old != before.end() && known_.contains(target.name) && is_same(*old, target);
    if (old != before.end()) before.erase(old);
    if (stays) continue;
    sources.push_back(make(target, config));
    known_.try_emplace(target.name);
  }
  for (const auto& gone : before) {
    if (drop && known_.erase(gone.name) > 0) drop(gone.name);
  }
}

std::vector<std::unique_ptr<sources::Source>> Targets::set(
    const config::Config& config, const config::Config& before,
    const std::function<void(const std::string& name)>& drop) {
  std::vector<std::unique_ptr<sources::Source>> sources;
  const bool same_rules = config.relabel == before.relabel && config.metrics == before.metrics;
  const auto is_alike = [&](const auto& a, const auto& b) {
    return same_rules && a.http == b.http && a.interval == b.interval && a.labels == b.labels;
  };
  replace(
      config::scrape_targets(config), config::scrape_targets(before), config,
      [&](const auto& a, const auto& b) { return is_alike(a, b) && *a.scrape == *b.scrape; }, drop,
      sources);
  replace(
      config::probe_targets(config), config::probe_targets(before), config,
      [&](const auto& a, const auto& b) { return is_alike(a, b) && *a.probe == *b.probe; }, drop,
      sources);
  if (known_.empty()) transfers_.reset();
  return sources;
}

void Targets::tell(const sources::Source& source) {
  const auto found = known_.find(source.name());
  if (found == known_.end()) return;
  auto& known = found->second;
  const auto health = source.health();
  if (std::exchange(known.is_down, !health.is_up) != known.is_down) {
    const auto error = failed(health.error);
    setup_.on_health_change(source.name(), health.is_up ? nullptr : &error);
  }
  const bool had_bad_lines = std::exchange(known.has_bad_lines, health.bad_lines > 0);
  if (health.bad_lines == 0 || had_bad_lines || !health.is_up) return;
  setup_.on_bad_lines(source.name(), cat(grouped(health.bad_lines),
                                         health.bad_lines == 1 ? " line is no sample and is"
                                                               : " lines are no samples and are",
                                         " left out; the first is ", health.first_bad_line));
}

}  // namespace msp::run
