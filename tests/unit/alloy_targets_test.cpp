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

Conversion prometheus(const std::string& jobs, const std::string& more = "") {
  return convert(ForeignAgent::prometheus,
                 {{"p", cat("global: {external_labels: {customer_id: a}}\nscrape_configs:\n", jobs,
                            "remote_write: [{url: 'http://h/w'}]\n", more)}},
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
    const auto address = target_address(row.text);
    if (row.text != "[::1") CHECK(address.host == row.host);
    if (row.text != "[::1") CHECK(address.port == row.port);
    CHECK(is_this_host(address) == row.is_here);
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

TEST_CASE("convert: a target on this host at another port is told what to do with") {
  const std::string_view words = "is a target on this host at another port than 9100";
  CHECK(told(prometheus(job("app", "'localhost:9101'")), words));
  CHECK(told(alloy(scrape("app", "localhost:9101") + host("")), words));
  const auto beside = prometheus(job("app", "'localhost:9101'") + job("node", "'localhost:9100'"));
  CHECK_FALSE(told(beside, words));
  CHECK(told(beside, "job 'app': not this host's node_exporter"));
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
      convert(ForeignAgent::prometheus,
              {{"p",
                "global: {external_labels: {customer_id: a, host: '%{HOSTNAME}'}}\n"
                "remote_write: [{url: 'http://h/w'}]\n"}},
              {});
  CHECK(label(loaded(vmagent), "host") == "web-01");
  CHECK(told(vmagent, "Environment=HOSTNAME=%H"));
}

TEST_CASE("convert: HOSTNAME of the environment file is that, and not the host's name") {
  const auto got = convert(
      ForeignAgent::alloy,
      {{"f", host("customer_id = \"a\", x = constants.hostname, y = sys.env(\"HOSTNAME\")")}},
      ForeignFile{"e", "HOSTNAME=other\n"});
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
  CHECK(told(got, "'https://db:9100': msp-agent scrapes nothing"));
  CHECK_FALSE(told(got, "hush"));
}

TEST_CASE("convert: a YAML file without --from is told what to do with") {
  const auto got = convert(ForeignAgent::alloy, {{"prometheus.yml", "global: {}\n"}}, {});
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
  CHECK(told(discovered, "job 'node': its targets are not in this file"));
}

TEST_CASE("convert: merge keys, nested, in lists and across jobs, and what they do not override") {
  const auto got = convert(
      ForeignAgent::prometheus,
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
  const auto wrong = convert(ForeignAgent::prometheus,
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
  const auto got = convert(ForeignAgent::prometheus, {{"p", bomb}}, {});
  CHECK_FALSE(got.yaml.has_value());
}

TEST_CASE("convert: vmagent's flags in an environment file are named, not what they say") {
  const auto got =
      convert(ForeignAgent::prometheus, {{"p", "remote_write: [{url: 'http://h/w'}]\n"}},
              ForeignFile{"e",
                          "ARGS=\"-promscrape.config=p --remoteWrite.url=http://u:hush@h/w "
                          "-remoteWrite.label=customer_id=hush\"\n"});
  CHECK(told(got, "e:1: not carried over: vmagent's flags -remoteWrite.url, -remoteWrite.label: "));
  CHECK_FALSE(told(got, "hush"));
}

}  // namespace
}  // namespace msp
