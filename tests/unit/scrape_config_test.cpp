// What an operator reads about scrape, relabel and metrics.
#include "agent/config/scrape_target.h"
#include "tests/support/config_rows.h"

namespace msp {
namespace {

using test::check;
using test::errors_of;
using test::with;

std::string job(const std::string& rest) {
  return with("scrape:\n  job: a\n  targets: [h:1]\n" + rest);
}

}  // namespace

TEST_CASE("scrape: what is refused") {
  const std::string targets = cat("; accepted: ", config::kTargetAccepted);
  check({
      {with("scrape: {targets: [h:1]}\n"),
       {"f:3:9: scrape.job: found nothing; accepted: 1 to 255 bytes of text"}},
      {with("scrape: {job: a}\n"), {"f:3:9: scrape.targets: found nothing" + targets}},
      {with("scrape: {job: a, targets: []}\n"),
       {"f:3:27: scrape.targets: found an empty list" + targets}},
      {with("scrape: {job: a, targets: h:1}\n"),
       {"f:3:27: scrape.targets: found a single value" + targets}},
      {with("scrape: {job: a, targets: ['ftp://h/', 'http://u:p@h/', 'unix:run']}\n"),
       {"f:3:28: scrape.targets[0]: found something else (not shown)" + targets,
        "f:3:40: scrape.targets[1]: found something else (not shown)" + targets,
        "f:3:57: scrape.targets[2]: found something else (not shown)" + targets}},
      {job("  timeout: 20s\n"),
       {"f:6:12: scrape.timeout: found '20s'; accepted: at most the interval, which is 15s"}},
      {job("  labels: {job: b, customer_id: c}\n"),
       {"f:6:12: scrape.labels.job: found the key job of the target as well; accepted: one of the "
        "two",
        "f:6:20: scrape.labels.customer_id: found a label that is always set by the agent; "
        "accepted: the key customer_id at the top of the file"}},
      {job("  bearer_token: abcdef\n  basic_auth: {username: u, password: pppp}\n"),
       {"f:6:17: scrape.bearer_token: found basic_auth as well; accepted: one way to log in"}},
      {with("scrape:\n  - {job: a, targets: ['127.0.0.1:1']}\n  - {job: a, targets: "
            "[localhost:2]}\n"),
       {"f:4:3: scrape: found two targets of job 'a' with the same labels, the second one "
        "'localhost:2'; accepted: labels that differ: set labels, such as {instance: ..}, for "
        "each of them"}},
  });
}

TEST_CASE("probes: what is refused") {
  const auto probe = [](const std::string& rest) {
    return with("probes:\n  name: a\n  target: 'h:1'\n" + rest);
  };
  check({
      {with("probes: {name: a}\n"),
       {"f:3:9: probes.target: found nothing; accepted: a URL, host:port or a host"}},
      {with("probes: {name: a, module: tcp, target: 'http://h/'}\n"),
       {"f:3:40: probes.target: found something else (not shown); accepted: host:port, such as "
        "db.example.com:5432"}},
      {probe("  module: tcp\n  method: GET\n"),
       {"f:7:11: probes.method: found a key of module http; accepted: keys of module tcp"}},
      {with("probes: {name: a, module: icmp, target: 'h:1'}\n"),
       {"f:3:41: probes.target: found something else (not shown); accepted: a host, such as "
        "db.example.com or 192.0.2.7"}},
      {with("probes: {name: a, module: icmp, target: '::1', use_tls: true, tls: {ca_file: /c}}\n"),
       {"f:3:57: probes.use_tls: found a key of module tcp; accepted: keys of module icmp",
        "f:3:68: probes.tls: found a key of the modules http and tcp; accepted: keys of module "
        "icmp"}},
      {with("probes: {name: a, module: dns, target: 'h:53'}\n"),
       {"f:3:9: probes.query_name: found nothing; accepted: a domain name, such as "
        "www.example.com"}},
      {with("probes: {name: a, module: dns, target: h, query_name: a..b, query_type: B}\n"),
       {"f:3:55: probes.query_name: found 'a..b'; accepted: a domain name, such as www.example.com",
        "f:3:73: probes.query_type: found 'B'; accepted: a type of records, such as A, AAAA, MX, "
        "SOA "
        "or ANY"}},
      {probe("  query_name: a\n"),
       {"f:6:15: probes.query_name: found a key of module dns; accepted: keys of module http"}},
      {probe("  use_tls: true\n"),
       {"f:6:12: probes.use_tls: found a key of module tcp; accepted: a target that begins with "
        "https://"}},
      {probe("  timeout: 20s\n"),
       {"f:6:12: probes.timeout: found '20s'; accepted: at most the interval, which is 15s"}},
      {with("probes: [{name: a, target: 'h:1'}, {name: b, target: 'h:1?x'}]\n"),
       {"f:3:9: probes: found two probes with the same labels, the second one 'b'; accepted: "
        "labels that differ: set job, or labels such as {check: login}"}},
  });
}

TEST_CASE("relabel: what is refused, at its place") {
  check({
      {with("relabel:\n  - {action: drop, source_labels: [__name__], regex: '('}\n"),
       {"f:4:54: relabel[0].regex: found '(', no regular expression: missing ); accepted: an RE2 "
        "regular expression"}},
      {with("relabel: {target_label: customer_id, replacement: x}\n"),
       {"f:3:25: relabel.target_label: found customer_id, which says whose the sample is; "
        "accepted: another label"}},
      {with("relabel: {action: dorp}\n"),
       {"f:3:10: relabel.target_label: found nothing beside action: replace; accepted: the name "
        "of a label",
        "f:3:19: relabel.action: found 'dorp'; accepted: replace, keep, drop, keepequal, "
        "dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase"}},
      {with("metrics: {keep: ['go_(']}\n"),
       {"f:3:18: metrics.keep[0]: found 'go_('; accepted: a list of RE2 regular expressions, such "
        "as ['go_.*']"}},
  });
}

TEST_CASE("relabel: a rule's texts are taken as they are written") {
  const auto outcome = config::parse_config(
      with("relabel:\n"
           "  - {source_labels: [a, b], separator: '', regex: '(.*)\\$(.*)', target_label: 'x_$1', "
           "replacement: '${1}$$${2}'}\n"
           "  - {target_label: c, replacement: ''}\n"
           "metrics: {drop: ['a$', '${1}']}\n"),
      "f");
  for (const auto& error : outcome.errors) FAIL(error.to_string());
  const auto& rules = outcome.config.relabel;
  REQUIRE(rules.size() == 2);
  CHECK(rules[0].separator == "");
  CHECK(rules[0].regex == "(.*)\\$(.*)");
  CHECK(rules[0].target_label == "x_$1");
  CHECK(rules[0].replacement == "${1}$$${2}");
  CHECK(rules[1].replacement == "");
  CHECK_FALSE(rules[1].regex.has_value());
  CHECK(outcome.config.metrics.drop == std::vector<std::string>{"a$", "${1}"});
}

TEST_CASE("metrics: what is kept and dropped, behind the rules") {
  const auto config =
      config::parse_config(
          with("relabel: {target_label: __name__, source_labels: [__name__], regex: "
               "'old_(.*)', replacement: 'new_$1'}\n"
               "metrics: {keep: ['new_.*', up], drop: ['.*_b', '.*_c']}\n"),
          "f")
          .config;
  const auto relabel = config.relabel_of();
  REQUIRE(relabel);
  const auto is_sent = [&](std::string name) {
    std::vector<metrics::Label> labels = {{"__name__", std::move(name)}};
    return relabel(labels);
  };
  CHECK(is_sent("old_a"));
  CHECK(is_sent("new_a"));
  CHECK(is_sent("up"));
  CHECK_FALSE(is_sent("old_b"));
  CHECK_FALSE(is_sent("new_c"));
  CHECK_FALSE(is_sent("upper"));
  CHECK_FALSE(config::Config().relabel_of());
  CHECK_FALSE(config::Config().relabel_about());
  // What the agent says of a source is sent whatever is kept.
  std::vector<metrics::Label> labels = {{"__name__", "scrape_duration_seconds"}};
  CHECK(config.relabel_about()(labels));
}

TEST_CASE("scrape: the timeout follows a short interval") {
  const auto config =
      config::parse_config(
          with("interval: 5s\nscrape: [{job: a, targets: [h:1]}, {job: b, targets: [h:1], "
               "interval: 60s}]\n"),
          "f")
          .config;
  CHECK(config.scrape.at(0).timeout == std::chrono::seconds(5));
  CHECK(config.scrape.at(1).timeout == std::chrono::seconds(10));
}

}  // namespace msp
