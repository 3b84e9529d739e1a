// Labels on their way through another agent: what every sample of this host carried there is what
// the result says, and what is not known is not written.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/import/conversion.h"
#include "agent/import/sample_labels.h"
#include "tests/support/conversions.h"

namespace msp {
namespace {

/// A job of node_exporter with `target` rules, rules for its samples and rules for its endpoint.
struct Rules {
  std::string target = {};
  std::string sample = {};
  std::string endpoint = {};
  std::string labels = {};
  std::string external = {};
  std::string more = {};
};

import::Conversion with(const Rules& rules){
    const auto list = [](std::string_view key, const std::string& text){
        return text.empty() ? std::string() : cat(", ", key, ": [", text, "]");
};  // namespace
return import::convert(
    import::ForeignAgent::prometheus,
    {{"p", cat("global: {scrape_interval: 15s, external_labels: {customer_id: a",
               rules.external.empty() ? "" : ", ", rules.external, "}}\n",
               "scrape_configs:\n- {job_name: node", rules.more,
               ", static_configs: [{targets: ['localhost:9100'], labels: {", rules.labels, "}}]",
               list("relabel_configs", rules.target), list("metric_relabel_configs", rules.sample),
               "}\n", "remote_write:\n- {url: 'http://one/w'",
               list("write_relabel_configs", rules.endpoint), "}\n- {url: 'http://two/w'}\n")}},
    {});
}  // namespace msp

std::vector<std::string> urls(const import::Conversion& conversion) {
  std::vector<std::string> found;
  for (const auto& endpoint : loaded(conversion).endpoints) found.push_back(endpoint.url);
  return found;
}

constexpr auto kComputed = "{source_labels: [job], regex: '(.).*', target_label: c}, ";

TEST_CASE("convert: what is made of an unknown label is unknown, whatever rule makes it") {
  const std::vector<std::string> makers = {
      "{source_labels: [c], target_label: x}",
      "{source_labels: [c], target_label: x, replacement: '$0'}",
      "{source_labels: [c], target_label: x, replacement: 'a$1'}",
      "{source_labels: [c], target_label: b}, {source_labels: [b], target_label: x}",
      "{action: labelmap, regex: 'c', replacement: 'x'}",
      "{action: labelmap, regex: '(c)', replacement: 'x'}",
      "{source_labels: [c], regex: 'n', target_label: x, replacement: y}",
      "{source_labels: [c], target_label: x, action: lowercase}",
      "{source_labels: [c], target_label: x, action: hashmod, modulus: 2}",
      "{action: graphite, match: '*', labels: {x: '$1'}}",
      "{if: '{job=\"node\"}', target_label: x, replacement: y}"};
  for (const auto& maker : makers) {
    for (const bool is_of_target : {true, false}) {
      INFO(maker << (is_of_target ? " before" : " behind") << " the scrape");
      Rules rules{.labels = "x: old, c: old"};
      (is_of_target ? rules.target : rules.sample) = kComputed + maker;
      const auto got = with(rules);
      const auto config = loaded(got);
      if (!is_of_target) {  // the rules are carried over, or named
        REQUIRE_FALSE(config.relabel.empty());
        CHECK(config.relabel[0].target_label == "c");
        CHECK(sent(config, "c") == "n");
        CHECK((config.relabel.size() > 1) != told(got, "not carried over: metric_relabel_configs"));
        continue;
      }
      CHECK(label(config, "c").empty());
      CHECK(label(config, "x").empty());
      CHECK(told(got, "makes the label 'c' out of others"));
    }
  }
  const auto mapped = with({.sample = cat(kComputed, "{action: labelmap, regex: '()c'}")});
  CHECK(loaded(mapped).labels.empty());
  const auto renamed = with({.sample = "{source_labels: [job], regex: '(.).*', target_label: a_x}, "
                                       "{action: labelmap, regex: 'a_(.+)'}",
                             .labels = "x: old, y: kept"});
  CHECK(sent(loaded(renamed), "x") == "n");
  CHECK(sent(loaded(renamed), "y") == "kept");
}

TEST_CASE("convert: a label that was not known is known again when it is set or taken away") {
  const auto set = with({.sample = cat(kComputed,
                                       "{target_label: c, replacement: z}, "
                                       "{source_labels: [c], target_label: x}")});
  CHECK(sent(loaded(set), "c") == "z");
  CHECK(sent(loaded(set), "x") == "z");
  for (const std::string rule :
       {"{action: labeldrop, regex: c}", "{target_label: c, replacement: ''}"}) {
    INFO(rule);
    const auto got = with({.sample = cat(kComputed, rule,
                                         ", {source_labels: [c], regex: '', "
                                         "target_label: x, replacement: none}")});
    CHECK(sent(loaded(got), "x") == "none");
  }
}

TEST_CASE("convert: what a rule with vmagent's `if` changes is not known, and named") {
  const auto got = with({.sample = "{if: '{device=\"x\"}', action: labeldrop, regex: team}, "
                                   "{if: a, target_label: x, replacement: y}, "
                                   "{if: a, action: labelmap, regex: 'rack', replacement: r}",
                         .labels = "team: infra, rack: k, x: old"});
  const auto config = loaded(got);
  for (const auto* const name : {"team", "x", "r"}) CHECK(label(config, name).empty());
  CHECK(label(config, "rack") == "k");
  for (const auto* const name : {"team", "x", "r"}) {
    CHECK(told(got, cat("a rule for some samples only, which changes the labels ", name)));
  }
  const auto kept = with({.endpoint = "{if: a, source_labels: [job], regex: app, action: keep}"});
  CHECK(urls(kept).size() == 2);
  CHECK(told(kept, "a rule for some samples only, which takes samples away"));
}

TEST_CASE("convert: chains of copies arrive, known labels are mapped and dropped") {
  const auto chain = with({.sample = "{source_labels: [team], target_label: a}, "
                                     "{source_labels: [a], target_label: b}, "
                                     "{source_labels: [b], target_label: c, replacement: '${1}'}",
                           .labels = "team: infra"});
  CHECK(label(loaded(chain), "c") == "infra");
  const auto mapped = with({.sample = "{action: labelmap, regex: 'my_(.+)'}, "
                                      "{action: labeldrop, regex: 'my_.+'}",
                            .labels = "my_team: infra, my_rack: r1"});
  CHECK(label(loaded(mapped), "team") == "infra");
  CHECK(label(loaded(mapped), "rack") == "r1");
  CHECK(label(loaded(mapped), "my_team").empty());
  CHECK_FALSE(told(mapped, "not carried over: metric_relabel_configs"));
  const auto own =
      with({.sample = "{action: labeldrop, regex: 'fstype|team|job'}", .labels = "team: infra"});
  CHECK(sent(loaded(own), "team").empty());
  CHECK(loaded(own).relabel ==
        std::vector<metrics::RelabelRule>{
            {.action = metrics::RelabelAction::labeldrop, .regex = "fstype|team|job"}});
}

TEST_CASE("convert: before the scrape there is no name and no instance, but a target's address") {
  const auto got = with({.target = "{source_labels: [__name__], regex: '.+', target_label: x, "
                                   "replacement: y}, {source_labels: [instance], target_label: i}, "
                                   "{source_labels: [__address__], target_label: host}, "
                                   "{target_label: __tmp, replacement: t}, "
                                   "{source_labels: [__tmp], target_label: tmp}"});
  const auto config = loaded(got);
  CHECK(label(config, "x").empty());
  CHECK(label(config, "i").empty());
  CHECK(label(config, "host") == "localhost:9100");
  CHECK(label(config, "tmp") == "t");
  CHECK(label(config, "instance").empty());
  CHECK(told(got, "'instance' was 'localhost:9100'"));
}

TEST_CASE("convert: an endpoint whose rules take everything away is left out") {
  const std::vector<std::string> all_away = {
      "{source_labels: [job], regex: app, action: keep}",
      "{source_labels: [job], regex: 'no.*', action: drop}",
      "{source_labels: [team], regex: app, action: keep}",
      "{source_labels: [team], regex: infra, action: DROP}",
      "{source_labels: [nobody_has_this], regex: x, action: keep}",
      "{source_labels: [nobody_has_this], regex: '', action: drop}",
      "{source_labels: [job, team], regex: 'node;app', action: keep}",
      "{source_labels: [customer_id], regex: 'b', action: keep}",
      "{source_labels: [team], target_label: job, action: keepequal}",
      "{source_labels: [team, job], action: keep_if_equal}",
      "{source_labels: [nobody_has_this, neither_this], action: drop_if_equal}",
      "{target_label: team, replacement: app}, {source_labels: [team], regex: app, action: drop}"};
  for (const auto& rule : all_away) {
    INFO(rule);
    const auto got = with({.endpoint = rule, .labels = "team: infra"});
    CHECK(urls(got) == std::vector<std::string>{"http://two/w"});
    CHECK(told(got, "the whole endpoint is left out"));
  }
  const std::vector<std::string> nothing_away = {
      "{source_labels: [job], regex: 'node|app', action: keep}",
      "{source_labels: [job], regex: app, action: drop}",
      "{source_labels: [team], regex: '.+', action: keep}",
      "{source_labels: [nobody_has_this], regex: '', action: keep}",
      "{source_labels: [__name__], regex: 'go_.*|promhttp_.*|process_.+', action: drop}",
      "{source_labels: [team], target_label: job, action: dropequal}"};
  for (const auto& rule : nothing_away) {
    INFO(rule);
    const auto got = with({.endpoint = rule, .labels = "team: infra"});
    CHECK(urls(got).size() == 2);
    CHECK_FALSE(told(got, "write_relabel_configs"));
  }
  const std::vector<std::string> not_known = {
      "{source_labels: [__name__], regex: 'node_cpu.*', action: keep}",
      "{source_labels: [__name__], regex: 'go_.*|node_scrape.*', action: drop}",
      "{source_labels: [__name__], regex: 'n?go_.*', action: drop}",
      "{source_labels: [__name__], regex: '(go|node)_.*', action: drop}",
      "{source_labels: [device], regex: 'eth.*', action: keep}",
      "{source_labels: [team], target_label: team, regex: 'i(.*)'}, "
      "{source_labels: [team], regex: app, action: keep}",
      "{if: '{job=\"app\"}', action: keep}"};
  for (const auto& rule : not_known) {
    INFO(rule);
    const auto got = with({.endpoint = rule, .labels = "team: infra"});
    CHECK(urls(got).size() == 2);
    const bool is_carried = !loaded(got).endpoints[0].relabel.empty();
    CHECK(is_carried != told(got, "not carried over: write_relabel_configs"));
    CHECK(is_carried == (rule.find("if:") == rule.npos));
  }
}

TEST_CASE("convert: where no sample reaches an endpoint there is no result, and it says why") {
  const std::string away = "{source_labels: [job], regex: node, action: drop}";
  for (const auto& rules : {Rules{.target = away}, Rules{.sample = away}}) {
    const auto got = with(rules);
    CHECK_FALSE(got.yaml.has_value());
    CHECK(got.error.find("takes all of this host's samples away") != std::string::npos);
  }
  const auto pipe = alloy(
      "prometheus.exporter.unix \"u\" { }\nprometheus.scrape \"s\" {\n targets = "
      "prometheus.exporter.unix.u.targets\n forward_to = [prometheus.relabel.r.receiver]\n}\n"
      "prometheus.relabel \"r\" {\n rule {\n  action = \"keep\"\n  source_labels = [\"job\"]\n  "
      "regex = \"app\"\n }\n forward_to = [prometheus.remote_write.w.receiver]\n}\n" +
      host("customer_id = \"a\""));
  CHECK_FALSE(pipe.yaml.has_value());
  CHECK(pipe.error.find("no sample of this host gets through prometheus.relabel.r") !=
        std::string::npos);
  const auto none = alloy(
      "prometheus.exporter.unix \"u\" {\n set_collectors = [\"nobody_has_it\"]\n}\n"
      "prometheus.scrape \"s\" {\n targets = prometheus.exporter.unix.u.targets\n forward_to = "
      "[prometheus.remote_write.w.receiver]\n}\n" +
      host("customer_id = \"a\""));
  CHECK_FALSE(none.yaml.has_value());
  CHECK(none.error.find("nothing would be collected") != std::string::npos);
}

TEST_CASE("convert: external labels give way in Prometheus and Alloy, and win in vmagent") {
  const auto prometheus =
      with({.labels = "role: web", .external = "role: db, instance: i, new: n"});
  CHECK(label(loaded(prometheus), "role") == "web");
  CHECK(label(loaded(prometheus), "instance").empty());
  CHECK(label(loaded(prometheus), "new") == "n");
  CHECK(told(prometheus, "external_labels: the label 'role': the samples have it already, 'web'"));
  CHECK(told(prometheus, "vmagents external_labels win"));
  const auto vmagent = with({.labels = "role: web",
                             .external = "role: db, instance: i, new: n, zone: '%{ZONE}'",
                             .more = ", stream_parse: true"});
  setenv("ZONE", "z", 1);
  CHECK(label(loaded(vmagent), "role") == "db");
  CHECK(label(loaded(vmagent), "instance") == "i");
  CHECK(told(vmagent, "which it calls exported_role"));
  CHECK(told(vmagent, "-remoteWrite.label"));
}

TEST_CASE("convert: a label of ours that a metric has by itself is told") {
  CHECK(told(with({.labels = "type: node"}), "their own was called exported_type"));
  const auto written = loaded(with({.sample = "{target_label: device, replacement: d}"}));
  CHECK(written.relabel ==
        std::vector<metrics::RelabelRule>{{.target_label = "device", .replacement = "d"}});
  CHECK_FALSE(
      told(with({.labels = "type: node", .more = ", honor_labels: true"}), "the label 'type'"));
  CHECK_FALSE(told(with({.external = "type: node"}), "the label 'type'"));
  CHECK_FALSE(told(with({.labels = "team: node"}), "the label 'team'"));
}

TEST_CASE("convert: a computed label of Alloy's targets is not known either") {
  const auto got = alloy(
      "prometheus.exporter.unix \"u\" { }\nprometheus.scrape \"s\" {\n targets = "
      "array.combine_maps(prometheus.exporter.unix.u.targets, [{job = \"integrations/unix\", team "
      "= \"t\"}], [\"job\"])\n forward_to = [prometheus.relabel.r.receiver]\n}\n"
      "prometheus.relabel \"r\" {\n rule {\n  source_labels = [\"team\"]\n  target_label = "
      "\"owner\"\n }\n forward_to = [prometheus.remote_write.w.receiver]\n}\n" +
      host("customer_id = \"a\""));
  CHECK(label(loaded(got), "owner").empty());
  CHECK(label(loaded(got), "team").empty());
  CHECK(label(loaded(got), "job") == "integrations/unix");
  CHECK(told(got,
             "array.combine_maps(..), which only Alloy computes; its labels are not carried "
             "over: team"));
  CHECK(told(got, "copies the label 'team' to 'owner'"));
}

TEST_CASE("convert: the labels of every metric of the reference are known as metrics' own") {
  for (const std::string name :
       {"cpu", "mode", "device", "fstype", "mountpoint", "type", "version"}) {
    CHECK(import::is_label_of_metrics(name));
  }
  CHECK_FALSE(import::is_label_of_metrics("team"));
  CHECK_FALSE(import::is_label_of_metrics("instance"));
}

}  // namespace
}  // namespace msp
