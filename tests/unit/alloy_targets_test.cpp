// Which of the targets that another agent scrapes is this host's node_exporter, what of it is
// carried over, and what is said of all the others.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/import/conversion.h"
#include "agent/import/host_target.h"
#include "tests/support/collector_options.h"
#include "tests/support/conversions.h"

namespace msp {
namespace {

import::Conversion prometheus(const std::string& jobs, const std::string& more = ""){
    return import::convert(import::ForeignAgent::prometheus,
                           {{"p",
                             cat("global: {external_labels: {customer_id: a}}\nscrape_configs:\n",
                                 jobs, "remote_write: [{url: 'http://h/w'}]\n", more)}},
                           {});
}

/// A job whose targets have the label `from`, which says whether it is the one that was taken.
std::string job(const std::string& name, const std::string& targets) {
  return cat("- {job_name: ", name, ", static_configs: [{targets: [", targets,
             "], labels: {from: ", name, "}}]}\n");
}

/// The same as a scrape of Alloy.
std::string scrape(const std::string& name, const std::string& target) {
  return cat("prometheus.scrape \"", name, "\" {\n targets = [{__address__ = \"", target,
             "\", from = \"", name,
             "\"}]\n forward_to = [prometheus.remote_write.w.receiver]\n}\n");
}

TEST_CASE("convert: a target's address, as a host and port, a URL, with brackets") {
  struct Row {
    std::string_view text;
    std::string_view host;
    std::string_view port;
    bool is_here;
  };
  const std::vector<Row> rows = {
      {"localhost:9100", "localhost", "9100", true},
      {"LOCALHOST:9100", "localhost", "9100", true},
      {"127.0.1.1:1", "127.0.1.1", "1", true},
      {"[::1]:9100", "::1", "9100", true},
      {"[0:0:0:0:0:0:0:1]:9100", "0:0:0:0:0:0:0:1", "9100", true},
      {"http://localhost:9100/metrics", "localhost", "9100", true},
      {"https://[::1]/m?x=1", "::1", "443", true},
      {"http://u:p@127.0.0.1:9100", "127.0.0.1", "9100", true},
      {"${HOSTNAME}:9100", "${hostname}", "9100", true},
      {"${NODE:-localhost}:9100", "${node:-localhost}", "9100", false},
      {"localhost", "localhost", "80", true},
      {"db-1:9100", "db-1", "9100", false},
      {"localhost.example.com:9100", "localhost.example.com", "9100", false},
      {"1127.0.0.1:9100", "1127.0.0.1", "9100", false},
      {"", "", "80", false},
      {"[::1", "[", "", false}};
  for (const auto& row : rows) {
    INFO(row.text);
    const auto address = import::target_address(row.text);
    if (row.text != "[::1") CHECK(address.host == row.host);
    if (row.text != "[::1") CHECK(address.port == row.port);
    CHECK(import::is_this_host(address) == row.is_here);
  }
}

TEST_CASE("convert: this host's node_exporter is recognized the same way in both languages") {
  struct Row {
    std::string name;  // of the job with this target; the other one is "app"
    std::string target;
    std::string other;
    bool is_taken;
    bool is_told;  // because it is not certain
  };
  const std::vector<Row> rows = {
      {"any", "localhost:9100", "localhost:8080", true, false},
      {"any", "[::1]:9100", "db:9100", true, false},
      {"any", "http://127.0.0.1:9100/metrics", "db:80", true, false},
      {"node", "localhost:9101", "localhost:8080", true, true},
      {"node_exporter", "https://localhost:9500", "db:9100", true, true},
      {"any", "node-exporter:9100", "db:9187", true, true},
      {"any", "node-exporter:9100", "db:9100", true, true},
      {"any", "prometheus_node_exporter_1:42000", "db:9100", true, true},
      {"any", "web-01:9100", "db:9187", true, true},
      {"any", "web-01:9100", "db:9100", false, false},
      {"any", "localhost:9101", "db:9187", false, false},
      {"any", "node-exporter-1:9100", "node-exporter-2:9100", false, false}};
  for (const auto& row : rows) {
    INFO(row.target << " beside " << row.other);
    const auto in_prometheus =
        prometheus(job("app", cat("'", row.other, "'")) + job(row.name, cat("'", row.target, "'")));
    const auto in_alloy = alloy(scrape("app", row.other) + scrape(row.name, row.target) +
                                host("customer_id = \"a\""));
    for (const auto* const got : {&in_prometheus, &in_alloy}) {
      CHECK((label(loaded(*got), "from") == row.name) == row.is_taken);
      CHECK(told(*got, "is taken for this host's node_exporter") == row.is_told);
    }
    if (row.is_taken) CHECK(label(loaded(in_alloy), "job") == cat("prometheus.scrape.", row.name));
  }
}

TEST_CASE("convert: a target at another port is scraped, with the labels that it had") {
  const auto app = job("app", "'localhost:9101'");
  for (const auto& got : {prometheus(app), prometheus(app + job("node", "'localhost:9100'")),
                          alloy(scrape("app", "localhost:9101") + host("customer_id = \"a\""))}) {
    const auto config = loaded(got);
    REQUIRE(config.scrape.size() == 1);
    CHECK(config.scrape[0].targets == std::vector<std::string>{"localhost:9101"});
    const std::vector<metrics::Label> labels = {{"from", "app"}, {"instance", "localhost:9101"}};
    CHECK(config.scrape[0].labels == labels);
  }
}

TEST_CASE("convert: a label of this host's targets is not one of the others") {
  const auto config = loaded(
      prometheus(job("node", "'localhost:9100'") +
                 "- {job_name: app, static_configs: [{targets: ['localhost:9101', 'db:1']}]}\n"));
  CHECK(label(config, "from") == "node");
  REQUIRE(config.scrape.size() == 2);
  for (const auto& scrape : config.scrape)
    CHECK(scrape.labels.back() == metrics::Label{"from", ""});
}

TEST_CASE("convert: rules of a target are evaluated, those of its samples are carried over") {
  const auto got = prometheus(
      "- {job_name: app, params: {a: [x y, z], auth: [hush]}, scheme: https, "
      "static_configs: [{targets: ['db1:1', 'db2:2', 'old:3'], labels: {dc: kr-a}}], "
      "relabel_configs: [{source_labels: [__address__], regex: 'old.*', action: drop}, "
      "{source_labels: [dc], regex: '(..)-(.)', target_label: zone, replacement: '$2'}, "
      "{source_labels: [__address__], regex: 'db(.):.*', target_label: __metrics_path__, "
      "replacement: '/m$1'}, {regex: dc, action: labeldrop}], "
      "metric_relabel_configs: [{source_labels: [__name__], regex: 'go_.*', action: drop}, "
      "{regex: 'a|b', action: labelkeep}, {target_label: customer_id, replacement: c}]}\n");
  const auto config = loaded(got);
  REQUIRE(config.scrape.size() == 1);
  const auto& scrape = config.scrape[0];
  CHECK(scrape.targets == std::vector<std::string>{"https://db1:1/m1?a=x%20y&a=z&auth=hush",
                                                   "https://db2:2/m2?a=x%20y&a=z&auth=hush"});
  CHECK(scrape.labels == std::vector<metrics::Label>{{"zone", "a"}});
  REQUIRE(scrape.relabel.size() == 2);
  CHECK(scrape.relabel[0].regex == "go_.*");
  CHECK(scrape.relabel[1].regex == "(?:a|b)|__name__|customer_id|server_name");
  CHECK(told(got, "a target that its rules drop"));
  CHECK(told(got, "customer_id is the agent's own on all samples"));
  CHECK_FALSE(told(got, "hush"));
}

std::string triple(const std::string& name, const std::string& module, const std::string& targets) {
  return cat("- {job_name: ", name, ", metrics_path: /probe, params: {module: [", module,
             "]}, static_configs: [{targets: [", targets, "]}], relabel_configs: [",
             "{source_labels: [__address__], target_label: __param_target}, ",
             "{source_labels: [__param_target], target_label: instance}, ",
             "{target_label: __address__, replacement: 'localhost:9115'}]}\n");
}

TEST_CASE("convert: a target of blackbox_exporter is a probe, with the labels that it had") {
  const auto got = prometheus(triple("b", "http_2xx", "'https://example.com/?token=hush', 'h:80'"));
  const auto config = loaded(got);
  CHECK(config.scrape.empty());
  REQUIRE(config.probes.size() == 2);
  CHECK(config.probes[0].label == "b-example.com");
  CHECK(config.probes[0].target == "https://example.com/?token=hush");
  CHECK(config.probes[0].labels ==
        std::vector<metrics::Label>{{"instance", "https://example.com/?token=hush"}});
  CHECK(config.probes[1].job == "b");
  CHECK(config.probes[1].labels.empty());
  CHECK(told(got, "module 'http_2xx': taken as blackbox_exporter is shipped"));
  CHECK_FALSE(told(got, "hush"));
}

TEST_CASE("convert: blackbox_exporter is scraped for what no probe can do") {
  const auto got = import::convert(
      import::ForeignAgent::prometheus,
      {{"p", cat("global: {external_labels: {customer_id: a}}\nscrape_configs:\n",
                 triple("name", "dns", "10.0.0.1"), triple("far", "far", "h"),
                 triple("ping", "ping", "h"), "remote_write: [{url: 'http://h/w'}]\n")}},
      {},
      {{"b.yml",
        "modules: {dns: {prober: dns, dns: {query_name: x, dns_over_tls: true}}, far: {prober: "
        "icmp, icmp: {ttl: 5}}, ping: {prober: "
        "icmp}}"}});
  const auto config = loaded(got);
  REQUIRE(config.probes.size() == 1);
  CHECK(config.probes[0].target == "h");
  REQUIRE(config.scrape.size() == 2);
  CHECK(config.scrape[0].targets ==
        std::vector<std::string>{"http://localhost:9115/probe?module=dns&target=10.0.0.1"});
  CHECK(config.scrape[0].labels == std::vector<metrics::Label>{{"instance", "10.0.0.1"}});
  CHECK(told(got, "msp-agent has no dns_over_tls; blackbox_exporter is scraped"));
  CHECK(told(got, "msp-agent has no ttl; blackbox_exporter is scraped"));
  const auto unknown = prometheus(triple("own", "own", "'h:1'"));
  CHECK(loaded(unknown).scrape.size() == 1);
  CHECK(told(unknown,
             "module 'own': what it does is in blackbox_exporter's configuration: name that file"));
}

TEST_CASE("convert: more targets or probes than the agent takes are none, and told once") {
  std::string targets, probes;
  for (int i = 0; i <= 200; ++i) {
    targets += cat(i == 0 ? "" : ", ", "'h", i, ":1'");
    probes += cat(i == 0 ? "" : ", ", "'p", i, ":1'");
  }
  const auto got = prometheus(job("many", targets) + triple("probes", "tcp_connect", probes) +
                              job("node", "'localhost:9100'"));
  CHECK(loaded(got).scrape.empty());
  CHECK(loaded(got).probes.empty());
  CHECK(label(loaded(got), "from") == "node");
  CHECK(told(got, "201 targets, and msp-agent takes 200: none of them is carried over"));
  CHECK(told(got, "201 probes, and msp-agent takes 200: none of them is carried over"));
}

TEST_CASE(
    "convert: samples that Alloy sends elsewhere than this host's are told, and not sent here") {
  const std::string exporter =
      "prometheus.exporter.unix \"u\" { }\nprometheus.scrape \"u\" {\n targets = "
      "prometheus.exporter.unix.u.targets\n forward_to = [prometheus.remote_write.w.receiver, "
      "prometheus.remote_write.v.receiver]\n}\n"
      "prometheus.remote_write \"v\" {\n endpoint {\n  url = \"http://v/w\"\n }\n}\n"
      "prometheus.remote_write \"o\" {\n endpoint {\n  url = \"http://o/w\"\n }\n}\n";
  const auto to = [&](const std::string& writer) {
    return alloy(exporter +
                 "prometheus.scrape \"app\" {\n targets = [{__address__ = \"h:1\"}]\n "
                 "forward_to = [prometheus." +
                 writer + ".receiver]\n}\n" + host("customer_id = \"a\""));
  };
  const auto some = to("remote_write.w");
  CHECK(loaded(some).scrape.size() == 1);
  CHECK(told(
      some, "scrape.app: its samples went to prometheus.remote_write.w only; msp-agent sends all"));
  const auto other = to("remote_write.o");
  CHECK(loaded(other).scrape.empty());
  CHECK(told(other, "its samples go to prometheus.remote_write.o, and this host's do not"));
  const auto none = to("receive_http.x");
  CHECK(loaded(none).scrape.empty());
  CHECK(told(none, "its samples come to no prometheus.remote_write"));
}

TEST_CASE("convert: a value that a rule of Alloy gives all samples of a scrape is on up as well") {
  const auto got = alloy(
      "prometheus.scrape \"app\" {\n targets = [{__address__ = \"h:1\"}]\n forward_to = "
      "[prometheus.relabel.r.receiver]\n}\nprometheus.relabel \"r\" {\n forward_to = "
      "[prometheus.remote_write.w.receiver]\n rule {\n  target_label = \"team\"\n  replacement = "
      "\"web\"\n }\n rule {\n  action = \"drop\"\n  source_labels = [\"__name__\"]\n  regex = "
      "\"go_.*\"\n }\n rule {\n  target_label = \"late\"\n  replacement = \"x\"\n }\n}\n" +
      host("customer_id = \"a\""));
  const auto config = loaded(got);
  REQUIRE(config.scrape.size() == 1);
  CHECK(config.scrape[0].labels == std::vector<metrics::Label>{{"team", "web"}});
  REQUIRE(config.scrape[0].relabel.size() == 2);
  CHECK(config.scrape[0].relabel[1].target_label == "late");
}

TEST_CASE("convert: a rule that every job has is one of all; others of this host are confined") {
  const std::string rules =
      "metric_relabel_configs: [{source_labels: [__name__], regex: 'node_.*', action: drop}, "
      "{regex: device, action: labeldrop}]";
  const std::string node =
      cat("- {job_name: node, static_configs: [{targets: ['localhost:9100']}], ", rules, "}\n");
  const auto app = cat("- {job_name: app, static_configs: [{targets: ['h:1']}]");
  const auto same = loaded(prometheus(cat(node, app, ", ", rules, "}\n")));
  REQUIRE(same.relabel.size() == 2);
  CHECK(same.relabel[0].regex == "node_.*");
  const auto got = prometheus(cat(node, app, "}\n"));
  REQUIRE(loaded(got).relabel.size() == 1);
  CHECK(loaded(got).relabel[0].source_labels == std::vector<std::string>{"job", "__name__"});
  CHECK(told(got, "'labeldrop' for the samples of this host alone"));
}

TEST_CASE("convert: a second scrape of this host is told as one") {
  const auto twice = prometheus(job("node", "'localhost:9100'") + job("again", "'127.0.0.1:9100'"));
  CHECK(label(loaded(twice), "from") == "node");
  CHECK(told(twice, "job 'again': '127.0.0.1:9100' is this host's node_exporter as well"));
  const auto in_alloy = alloy(scrape("node", "localhost:9100") + scrape("again", "127.0.0.1:9100") +
                              host("customer_id = \"a\""));
  CHECK(label(loaded(in_alloy), "from") == "node");
  CHECK(told(in_alloy, "scrape.again: '127.0.0.1:9100' is this host's node_exporter as well"));
}

TEST_CASE("convert: the host's name in an address or a label is ${HOSTNAME}") {
  setenv("HOSTNAME", "web-01", 1);
  const auto got = alloy(
      "prometheus.scrape \"s\" {\n targets = [{__address__ = constants.hostname + \":9100\", on = "
      "\"on-\" + constants.hostname}]\n forward_to = [prometheus.remote_write.w.receiver]\n}\n" +
      host("customer_id = \"a\", hostname = constants.hostname, box = sys.env(\"HOSTNAME\")"));
  const auto config = loaded(got);
  CHECK(label(config, "on") == "on-web-01");
  CHECK(label(config, "hostname") == "web-01");
  CHECK(label(config, "box") == "web-01");
  CHECK(config.server_name == config.host_name);
  CHECK(told(got,
             "to do: set HOSTNAME for msp-agent: `systemctl edit msp-agent`, [Service], "
             "Environment=HOSTNAME=%H"));
  CHECK_FALSE(told(got, "is server_name as well"));
  const auto vmagent =
      import::convert(import::ForeignAgent::prometheus,
                      {{"p",
                        "global: {external_labels: {customer_id: a, host: '%{HOSTNAME}'}}\n"
                        "remote_write: [{url: 'http://h/w'}]\n"}},
                      {});
  CHECK(label(loaded(vmagent), "host") == "web-01");
  CHECK(told(vmagent, "Environment=HOSTNAME=%H"));
}

TEST_CASE("convert: HOSTNAME of the environment file is that, and not the host's name") {
  const auto got = import::convert(
      import::ForeignAgent::alloy,
      {{"f", host("customer_id = \"a\", x = constants.hostname, y = sys.env(\"HOSTNAME\")")}},
      import::ForeignFile{"e", "HOSTNAME=other\n"});
  setenv("HOSTNAME", "other", 1);
  CHECK(label(loaded(got), "x").empty());
  CHECK(label(loaded(got), "y") == "other");
  CHECK(told(got, "the label 'x' is the host's name, and the environment file sets HOSTNAME"));
}

TEST_CASE("convert: the login in a target's address is neither shown nor sent") {
  const auto got = prometheus(
      "- {job_name: j, static_configs: [{targets: ['http://u:hush@localhost:9100/metrics', "
      "'https://hush@db:9100', 'hush@x:1']}], relabel_configs: [{source_labels: [__address__], "
      "target_label: from}]}\n" +
      job("again", "'http://u:hush@127.0.0.1:9100'"));
  CHECK(label(loaded(got), "from") == "http://localhost:9100");
  CHECK(told(got, "the target 'https://db:9100': no address that msp-agent can scrape"));
  CHECK_FALSE(told(got, "hush"));
}

TEST_CASE("convert: a YAML file without --from is told what to do with") {
  const auto got =
      import::convert(import::ForeignAgent::alloy, {{"prometheus.yml", "global: {}\n"}}, {});
  CHECK(got.error.find("--from prometheus") != std::string::npos);
}

TEST_CASE("convert: what a second exporter collects is collected too, and told") {
  const std::string exporters =
      "prometheus.exporter.unix \"a\" {\n set_collectors = [\"cpu\"]\n}\n"
      "prometheus.exporter.unix \"b\" {\n set_collectors = [\"cpu\", \"netdev\"]\n netdev {\n  "
      "device_include = \"eth0\"\n }\n}\n";
  const std::string one = "prometheus.exporter.unix.a.targets";
  const std::string two = "prometheus.exporter.unix.b.targets";
  const auto scrape_of = [](const std::string& name, const std::string& targets) {
    return cat("prometheus.scrape \"", name, "\" {\n targets = ", targets,
               "\n forward_to = [prometheus.remote_write.w.receiver]\n}\n");
  };
  for (const auto& scrapes : {scrape_of("s", cat("array.concat(", one, ", ", two, ")")),
                              scrape_of("s", one) + scrape_of("t", two)}) {
    const auto got = alloy(exporters + scrapes + host("customer_id = \"a\""));
    CHECK(loaded(got).collectors == std::vector<std::string>{"cpu", "netdev"});
    CHECK(test::filter_of(loaded(got).collector_options, "netdev.device_exclude")("eth0"));
    CHECK_FALSE(test::filter_of(loaded(got).collector_options, "netdev.device_exclude")("eth1"));
    CHECK(told(got,
               "exporter.unix.b: a second exporter; msp-agent has one set of collectors, with "
               "the interval and the options of the first; what only this one has is added "
               "to it: netdev"));
  }
}

TEST_CASE("convert: only the rules on this host's way count, in their order") {
  const auto relabel = [](const std::string& name, const std::string& targets,
                          const std::string& rules) {
    return cat("discovery.relabel \"", name, "\" {\n targets = ", targets, "\n", rules, "}\n");
  };
  const auto rule = [](const std::string& target, const std::string& value) {
    return cat(" rule {\n  target_label = \"", target, "\"\n  replacement = \"", value, "\"\n }\n");
  };
  const auto rest =
      "prometheus.exporter.unix \"u\" { }\nprometheus.exporter.postgres \"p\" { }\n"
      "prometheus.scrape \"s\" {\n targets = array.concat(discovery.relabel.db.output, "
      "discovery.relabel.second.output)\n forward_to = [prometheus.remote_write.w.receiver]\n}\n" +
      relabel("db", "prometheus.exporter.postgres.p.targets",
              rule("job", "postgres") + rule("db", "orders")) +
      relabel("second", "discovery.relabel.first.output",
              rule("x", "2") + " rule {\n  source_labels = [\"y\"]\n  target_label = \"z\"\n }\n") +
      host("customer_id = \"a\"");
  const auto got = alloy(rest + relabel("first", "prometheus.exporter.unix.u.targets",
                                        rule("x", "1") + rule("y", "1")));
  const auto config = loaded(got);
  CHECK(label(config, "job") == "integrations/unix");
  CHECK(label(config, "db").empty());
  CHECK(label(config, "x") == "2");
  CHECK(label(config, "z") == "1");
  CHECK(told(got, "discovery.relabel.db: this host's metrics do not come through it"));
  const auto target = alloy(
      rest + relabel("first",
                     "[{__address__ = prometheus.exporter.unix.u.targets[0].__address__, job = "
                     "\"mine\"}]",
                     rule("y", "1")));
  CHECK(label(loaded(target), "job") == "mine");
  CHECK(label(loaded(target), "z") == "1");
}

TEST_CASE("convert: an endpoint that only a second scrape writes to gets samples too") {
  const auto got = alloy(
      "prometheus.exporter.unix \"u\" { }\n"
      "prometheus.scrape \"a\" {\n targets = prometheus.exporter.unix.u.targets\n forward_to = "
      "[prometheus.remote_write.w.receiver]\n}\n"
      "prometheus.scrape \"b\" {\n targets = prometheus.exporter.unix.u.targets\n forward_to = "
      "[prometheus.remote_write.v.receiver]\n}\n"
      "prometheus.remote_write \"v\" {\n endpoint {\n  url = \"http://v/w\"\n }\n}\n" +
      host("customer_id = \"a\""));
  CHECK(loaded(got).endpoints.size() == 2);
  CHECK(told(got, "prometheus.scrape.b: a second scrape of this host"));
}

TEST_CASE("convert: in Alloy enable_collectors is stronger than disable_collectors") {
  const auto got = alloy(
      "prometheus.exporter.unix \"u\" {\n set_collectors = [\"cpu\"]\n enable_collectors = "
      "[\"loadavg\"]\n disable_collectors = [\"loadavg\"]\n}\n"
      "prometheus.scrape \"a\" {\n targets = prometheus.exporter.unix.u.targets\n forward_to = "
      "[prometheus.remote_write.w.receiver]\n}\n" +
      host("customer_id = \"a\""));
  CHECK(loaded(got).collectors == std::vector<std::string>{"cpu", "loadavg"});
}

TEST_CASE("convert: Alloy's own filters come along where none is set, and only there") {
  const auto options = [](const std::string& exporter) {
    return loaded(alloy(cat("prometheus.exporter.unix \"u\" {\n", exporter,
                            "\n}\nprometheus.scrape \"a\" {\n targets = "
                            "prometheus.exporter.unix.u.targets\n forward_to = "
                            "[prometheus.remote_write.w.receiver]\n}\n",
                            host("customer_id = \"a\""))))
        .collector_options;
  };
  const auto unset = options("");
  CHECK(test::filter_of(unset, "diskstats.device_exclude")("zram0"));
  CHECK_FALSE(test::filter_of(unset, "diskstats.device_exclude")("ram0"));
  CHECK(test::filter_of(unset, "filesystem.fs_types_exclude")("erofs"));
  CHECK_FALSE(test::filter_of(unset, "filesystem.fs_types_exclude")("squashfs"));
  CHECK(test::filter_of(unset,
                        "filesystem.mount_points_exclude")("/var/lib/containers/storage/overlay"));
  CHECK_FALSE(
      test::filter_of(unset, "filesystem.mount_points_exclude")("/var/lib/docker/overlay2/x"));
  const auto set = options(
      "filesystem {\n fs_types_exclude = \"^ext4$\"\n}\ndisk {\n "
      "device_include = \"^sda$\"\n}");
  CHECK(test::filter_of(set, "filesystem.fs_types_exclude")("squashfs"));
  CHECK_FALSE(test::filter_of(set, "filesystem.fs_types_exclude")("ext4"));
  CHECK_FALSE(
      test::filter_of(set, "filesystem.mount_points_exclude")("/var/lib/docker/overlay2/x"));
  CHECK(test::filter_of(set, "diskstats.device_exclude")("sda"));
  CHECK_FALSE(test::filter_of(set, "diskstats.device_exclude")("zram0"));
}

TEST_CASE("convert: jobs that are in other files are named as such") {
  const auto files = prometheus("", "scrape_config_files: [jobs/*.yml]\n");
  CHECK(told(files, "scrape_config_files: the jobs of these files are not in this one"));
  const auto discovered =
      prometheus("- {job_name: node, file_sd_configs: [{files: [targets.json]}]}\n");
  CHECK(told(discovered, "job 'node'.file_sd_configs: its targets are not in this file"));
}

TEST_CASE("convert: merge keys, nested, in lists and across jobs, and what they do not override") {
  const auto got = import::convert(
      import::ForeignAgent::prometheus,
      {{"p",
        "x-base: &base {scrape_interval: 20s, static_configs: &targets [{targets: "
        "['localhost:9100'], labels: &labels {rack: r1, team: infra}}]}\n"
        "x-more: &more {<<: *base, honor_labels: true}\n"
        "x-auth: &auth {username: u, password_file: /p}\n"
        "global: {external_labels: {<<: [{customer_id: a, site: s1}, {site: s2, zone: z}], <<: "
        "{zone: y, last: l}}}\n"
        "scrape_configs:\n- {<<: *more, job_name: node, scrape_interval: 10s}\n"
        "- {job_name: again, static_configs: *targets}\n"
        "remote_write:\n- {url: 'http://h/w', basic_auth: {<<: *auth, username: v}}\n"}},
      {});
  const auto config = loaded(got);
  CHECK(config.interval == std::chrono::seconds(10));
  CHECK(label(config, "rack") == "r1");
  CHECK(label(config, "site") == "s1");
  CHECK(label(config, "zone") == "z");
  CHECK(label(config, "last") == "l");
  CHECK(config.endpoints.at(0).username == "v");
  CHECK(config.endpoints.at(0).password_file == "/p");
  const auto wrong =
      import::convert(import::ForeignAgent::prometheus,
                      {{"p", "remote_write: [{url: 'http://h/w', <<: [text, [a]]}]\n"}}, {});
  CHECK(told(wrong, "p:1: not carried over: <<: a merge key; it takes a mapping"));
}

TEST_CASE("convert: aliases of aliases do not make a small file large") {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += cat("a", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) bomb += cat(j == 0 ? "" : ", ", "*a", i - 1);
    bomb += "]\n";
  }
  const auto got = import::convert(import::ForeignAgent::prometheus, {{"p", bomb}}, {});
  CHECK_FALSE(got.yaml.has_value());
}

TEST_CASE("convert: vmagent's flags in an environment file are named, not what they say") {
  const auto got = import::convert(
      import::ForeignAgent::prometheus, {{"p", "remote_write: [{url: 'http://h/w'}]\n"}},
      import::ForeignFile{"e",
                          "ARGS=\"-promscrape.config=p --remoteWrite.url=http://u:hush@h/w "
                          "-remoteWrite.label=customer_id=hush\"\n"});
  CHECK(told(got, "e:1: not carried over: vmagent's flags -remoteWrite.url, -remoteWrite.label: "));
  CHECK_FALSE(told(got, "hush"));
}

}  // namespace msp
}  // namespace msp
