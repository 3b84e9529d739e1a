// Which label wins where several of them have one name: every combination of where it comes from.
#include <catch2/catch.hpp>

#include <algorithm>

#include "agent/base/text.h"
#include "agent/config/scrape_target.h"
#include "agent/metrics/series_writer.h"

namespace msp {
namespace {

using LabelList = std::vector<metrics::Label>;

/// The labels of the one series m with `own`.
metrics::Labels sent(const metrics::SeriesRules& rules, LabelList own) {
  metrics::ScrapeBuilder builder(rules);
  auto& writer = builder.add_writer();
  builder.begin(writer);
  own.insert(own.begin(), {"__name__", "m"});
  REQUIRE(writer
              .add_outside("m", 1,
                           [&]() -> Result<metrics::NewSeries> {
                             return metrics::NewSeries{own, nullptr};
                           })
              .has_value());
  REQUIRE(builder.commit(writer).has_value());
  const auto scrape = builder.finish(0);
  REQUIRE(scrape.series->size() == 1);
  return scrape.series->front()->labels;
}

/// Where a label of a name can come from; one bit each.
enum From : unsigned { exposed = 1, target = 2, agent = 4, forced = 8, rule = 16, all = 31 };

}  // namespace

TEST_CASE("precedence: every combination of where a label comes from") {
  for (const auto own : {metrics::OwnLabel::wins_over_defaults, metrics::OwnLabel::is_renamed,
                         metrics::OwnLabel::wins}) {
    for (unsigned from = 0; from <= all; ++from) {
      INFO("own " << static_cast<int>(own) << ", from " << from);
      metrics::SeriesRules rules;
      rules.labels.own = own;
      if (from & forced) rules.labels.forced.push_back({"x", "forced"});
      // Of two that the agent has, what is set for the target comes first.
      if (from & target) rules.labels.defaults.push_back({"x", "target"});
      if (from & agent) rules.labels.defaults.push_back({"x", "agent"});
      if (from & rule) {
        rules.relabel = [](LabelList& labels) {
          std::erase_if(labels, [](const metrics::Label& label) { return label.name == "x"; });
          labels.push_back({"x", "rule"});
          return true;
        };
      }
      LabelList of_series;
      if (from & exposed) of_series.push_back({"x", "exposed"});
      const auto labels = sent(rules, of_series);

      const bool is_taken = (from & (target | agent | forced)) != 0;
      std::string_view wanted;
      if (from & agent) wanted = "agent";
      if (from & target) wanted = "target";
      if ((from & exposed) && own == metrics::OwnLabel::wins_over_defaults) wanted = "exposed";
      if ((from & exposed) && own == metrics::OwnLabel::is_renamed && !is_taken) wanted = "exposed";
      if (from & forced) wanted = "forced";
      if ((from & exposed) && own == metrics::OwnLabel::wins) wanted = "exposed";
      // A rule is refused where it is about what is forced; of others the last word is its.
      if ((from & rule) && (!(from & forced) || own == metrics::OwnLabel::wins)) wanted = "rule";
      CHECK(labels.get("x") == wanted);
      const bool is_renamed = own == metrics::OwnLabel::is_renamed && (from & exposed) && is_taken;
      CHECK(labels.get("exported_x") == (is_renamed ? "exposed" : ""));
    }
  }
}

TEST_CASE("precedence: an empty label that is exposed") {
  metrics::SeriesRules rules{.labels = {{{"customer_id", "alpha"}}, {{"job", "j"}}}};
  const LabelList empty = {{"job", ""}, {"customer_id", ""}};
  for (const auto own : {metrics::OwnLabel::is_renamed, metrics::OwnLabel::wins}) {
    rules.labels.own = own;
    const auto labels = sent(rules, empty);
    CHECK(labels.get("customer_id") == "alpha");
    CHECK(labels.get("job") == (own == metrics::OwnLabel::wins ? "" : "j"));
    CHECK(labels.get("exported_job").empty());
  }
}

TEST_CASE("precedence: a label is renamed until its name is free, as Prometheus does it") {
  const metrics::SeriesRules rules{
      .labels = {{{"customer_id", "alpha"}}, {{"job", "j"}}, metrics::OwnLabel::is_renamed}};
  const auto labels = sent(rules, {{"job", "a"}, {"exported_job", "b"}, {"customer_id", "evil"}});
  CHECK(labels.get("job") == "j");
  CHECK(labels.get("exported_job") == "b");
  CHECK(labels.get("exported_exported_job") == "a");
  CHECK(labels.get("customer_id") == "alpha");
  CHECK(labels.get("exported_customer_id") == "evil");
}

TEST_CASE("precedence: rules for what the agent says of a source are rules of their own") {
  metrics::SeriesRules rules;
  rules.relabel = [](LabelList&) { return false; };
  rules.relabel_about = [](LabelList& labels) {
    labels.push_back({"seen", "yes"});
    return true;
  };
  metrics::ScrapeBuilder builder(rules);
  auto& writer = builder.add_exempt_writer();
  builder.begin(writer);
  static constexpr metrics::MetricDesc kUp{"up", "", ""};
  writer.add(kUp, 1);
  REQUIRE(builder.commit(writer).has_value());
  CHECK(builder.finish(0).series->front()->labels.get("seen") == "yes");
}

TEST_CASE("precedence: the labels of targets, from the configuration") {
  const auto outcome = config::parse_config(
      "customer_id: alpha\nserver_name: web\nlabels: {region: r1, instance: i1, job: x}\n"
      "remote_write: {url: http://h/w}\n"
      "scrape:\n"
      "  - job: one\n"
      "    targets: [127.0.0.1:9104]\n"
      "    labels: {region: r2}\n"
      "  - job: two\n"
      "    targets: ['http://db.example.com:9121/m?token=secret', 'localhost:1/x', "
      "'unix:/run/a.sock']\n"
      "    honor_labels: true\n"
      "    interval: 60s\n",
      "f");
  for (const auto& error : outcome.errors) FAIL(error.to_string());
  const auto targets = config::scrape_targets(outcome.config);
  REQUIRE(targets.size() == 4);
  const auto get = [&](std::size_t i, std::string_view name) {
    return std::string(metrics::Labels(targets[i].labels.defaults).get(name));
  };
  CHECK(targets[0].name == "one/127.0.0.1:9104");
  CHECK(targets[0].http.url == "http://127.0.0.1:9104/metrics");
  CHECK(targets[0].labels.own == metrics::OwnLabel::is_renamed);
  CHECK(targets[0].interval == std::chrono::seconds(15));
  CHECK(get(0, "job") == "one");
  CHECK(get(0, "region") == "r2");
  CHECK(get(0, "instance") == "i1");
  CHECK(targets[1].name == "two/http://db.example.com:9121/m");
  CHECK(targets[1].http.url == "http://db.example.com:9121/m?token=secret");
  CHECK(targets[1].labels.own == metrics::OwnLabel::wins);
  CHECK(targets[1].interval == std::chrono::seconds(60));
  CHECK(get(1, "instance") == "db.example.com:9121");
  CHECK(get(1, "region") == "r1");
  CHECK(targets[2].http.url == "http://localhost:1/x");
  CHECK(get(2, "instance") == "i1:1");
  CHECK(targets[3].http.unix_socket == "/run/a.sock");
  CHECK(targets[3].http.url == "http://localhost/metrics");
  CHECK(get(3, "instance") == "i1:/run/a.sock");
  CHECK(targets[0].labels.forced == LabelList{{"customer_id", "alpha"}, {"server_name", "web"}});
}

}  // namespace msp
