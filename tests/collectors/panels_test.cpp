// What the dashboard Node Exporter Full and the alerts of node-mixin ask for: each of their metrics
// is sent, as docs/metrics.md says, or tests/fixtures/panels/not_sent.txt says why not.
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "collectors/registry.h"
#include "tests/support/fixture_host.h"

namespace fs = std::filesystem;

namespace msp::test {
namespace {

/// What is behind the first word of each line, by that word.
using Lists = std::map<std::string, std::string>;

Lists read_lists(const std::string& name) {
  Lists lists;
  const auto text = slurp(fs::path(FIXTURES) / "panels" / name);
  for (std::string_view rest = text; auto line = next_line(rest);) {
    if (line->starts_with('#')) continue;
    const auto first = std::string(next_word(*line));
    auto key = first == "collector" ? cat(first, " ", next_word(*line)) : first;
    lists.emplace(std::move(key), trim(*line));
  }
  return lists;
}

/// The section of each metric in docs/metrics.md.
Lists metrics_sent() {
  Lists sent;
  std::string section;
  const auto page = slurp(fs::path(TREE) / "docs/metrics.md");
  for (std::string_view rest = page; const auto line = next_line(rest);) {
    if (line->starts_with("## ")) section = line->substr(3);
    if (!line->starts_with("| `")) continue;
    const auto name = line->substr(3, line->find('`', 3) - 3);
    sent.emplace(name, section == "The agent itself" ? "agent" : section);
  }
  return sent;
}

struct Facts {
  const Lists sent = metrics_sent();
  const Lists collectors = read_lists("metrics.txt");  // by metric
  const Lists not_sent = read_lists("not_sent.txt");   // the reasons

  bool is_sent(const std::string& metric) const { return sent.contains(metric); }

  std::vector<std::string> missing(std::string_view metrics) const {
    std::vector<std::string> names;
    for (auto name = next_word(metrics); !name.empty(); name = next_word(metrics)) {
      if (!is_sent(std::string(name))) names.emplace_back(name);
    }
    return names;
  }
};

}  // namespace

TEST_CASE("each metric of the dashboard and the alerts is sent, or it is said why not") {
  const Facts facts;
  std::set<std::string> asked;
  for (const auto* file : {"node_exporter_full.txt", "node_mixin.txt"}) {
    for (const auto& [name, metrics] : read_lists(file)) {
      std::string_view rest = metrics;
      for (auto one = next_word(rest); !one.empty(); one = next_word(rest)) asked.emplace(one);
    }
  }
  CHECK(asked.size() > 200);
  for (const auto& metric : asked) {
    INFO(metric);
    REQUIRE(facts.collectors.contains(metric));
    const auto& collector = facts.collectors.at(metric);
    if (facts.is_sent(metric)) {
      CHECK(facts.sent.at(metric) == collector);
      CHECK_FALSE(facts.not_sent.contains(metric));
      continue;
    }
    const bool is_there =
        std::ranges::any_of(collectors::collector_registry(),
                            [&](const auto& entry) { return entry.name == collector; });
    const auto reason = facts.not_sent.find(
        facts.not_sent.contains(metric) || is_there ? metric : cat("collector ", collector));
    REQUIRE(reason != facts.not_sent.end());
    CHECK_FALSE(reason->second.empty());
  }
  for (const auto& [metric, collector] : facts.collectors) {
    INFO("nobody asks for " << metric);
    CHECK(asked.contains(metric));
  }
}

TEST_CASE("115 of the 125 panels of the dashboard are full, and the alerts can fire") {
  const Facts facts;
  const auto panels = read_lists("node_exporter_full.txt");
  REQUIRE(panels.size() == 125);
  const auto full = std::ranges::count_if(
      panels, [&](const auto& panel) { return facts.missing(panel.second).empty(); });
  CHECK(full >= 115);
  std::size_t by_default = 0;
  for (const auto& [number, metrics] : panels) {
    std::string_view rest = metrics;
    bool is_full = facts.missing(metrics).empty();
    for (auto one = next_word(rest); !one.empty(); one = next_word(rest)) {
      const auto collector = facts.collectors.at(std::string(one));
      for (const auto& entry : collectors::collector_registry()) {
        if (entry.name == collector && !entry.default_on) is_full = false;
      }
    }
    by_default += is_full ? 1 : 0;
  }
  std::vector<std::string> silent;
  for (const auto& [alert, metrics] : read_lists("node_mixin.txt")) {
    for (const auto& metric : facts.missing(metrics)) {
      const auto& collector = facts.collectors.at(metric);
      if (collector != "systemd" && collector != "textfile") silent.push_back(alert);
    }
  }
  CHECK(silent == std::vector<std::string>{});
  WARN(full << " of " << panels.size() << " panels are full, " << by_default
            << " with the collectors that are on by default");
}

TEST_CASE("each metric of the dashboards of containers is sent, or it is said why not") {
  const auto sent = metrics_sent();
  const auto not_sent = read_lists("containers_not_sent.txt");
  std::set<std::string> asked;
  for (const auto& [dashboard, metrics] : read_lists("containers.txt")) {
    std::string_view rest = metrics;
    for (auto name = next_word(rest); !name.empty(); name = next_word(rest)) asked.emplace(name);
  }
  CHECK(asked.size() > 40);
  for (const auto& metric : asked) {
    INFO(metric);
    const auto reason = not_sent.find(metric);
    CHECK(sent.contains(metric) == (reason == not_sent.end()));
    if (reason != not_sent.end()) CHECK_FALSE(reason->second.empty());
  }
  for (const auto& [metric, reason] : not_sent) {
    INFO("nobody asks for " << metric);
    CHECK(asked.contains(metric));
  }
}

}  // namespace msp::test
