// What becomes of another agent's configuration, piece by piece; the whole is in
// alloy_golden_test.cpp.
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/import/conversion.h"
#include "agent/import/env_file.h"
#include "agent/import/mapping_reader.h"
#include "tests/support/conversions.h"

namespace msp {
namespace {

TEST_CASE("convert: job stays what Alloy made it, instance the host's name") {
  const auto config =
      loaded(alloy("prometheus.exporter.unix \"u\" { }\n"
                   "prometheus.scrape \"s\" {\n targets = prometheus.exporter.unix.u.targets\n "
                   "job_name = \"mine\"\n"
                   " forward_to = [prometheus.remote_write.w.receiver]\n}\n" +
                   host("customer_id = \"a\"")));
  CHECK(label(config, "job") == "integrations/unix");
  CHECK(label(config, "instance").empty());
  CHECK(config.interval == std::chrono::minutes(1));
}

TEST_CASE("convert: no_proxy becomes a list, and what of it we do not have is named") {
  const auto converted = [](const std::string& no_proxy) {
    return alloy(host("customer_id = \"a\"",
                      cat("proxy_url = \"http://p:3128\"\n no_proxy = \"", no_proxy, "\"")));
  };
  const auto exceptions = [&](const std::string& no_proxy) {
    return loaded(converted(no_proxy)).endpoints.at(0).no_proxy;
  };
  CHECK(exceptions("internal.example, 10.0.0.0/8,,.lan ,[::1],fe80::1") ==
        "internal.example,10.0.0.0/8,.lan,[::1],fe80::1");
  CHECK(exceptions("*") == "*");
  CHECK(exceptions("*.lan,yes") == ".lan,yes");
  CHECK(exceptions("").empty());
  const auto partly = converted("a.example:8080,b c,[::1]:80,d.example");
  CHECK(loaded(partly).endpoints.at(0).no_proxy == "d.example");
  CHECK(told(partly, "no_proxy: 'a.example:8080': msp-agent's no_proxy knows no ports"));
  CHECK(told(partly, "no_proxy: '[::1]:80': msp-agent's no_proxy knows no ports"));
  CHECK(told(partly, "no_proxy: 'b c': no host, domain, address or network"));
}

TEST_CASE("convert: every value arrives as it was, whatever YAML or our '$' would make of it") {
  const std::vector<std::string> values = {
      "plain", "a: b",   "#c",   "'quoted'", "\\\"x\\\"", "- a", "{a}",  "[a]",  "null",  "~",
      "true",  "1",      "0x1f", "a$",       "$a",        "$$",  "$$$",  "${a}", "$${a}", "%{a}",
      "*a",    "&a",     "!a",   "@a",       "a,b",       "a'b", " a ",  "?",    "|",     ">",
      "서버",  "a\\\\b", "=",    "---",      "...",       "<<",  "a #b", "a:",   ":a",    "."};
  for (const auto& value : values) {
    INFO(value);
    std::string plain = value;
    for (auto at = plain.find('\\'); at != plain.npos; at = plain.find('\\', at + 1))
      plain.erase(at, 1);
    const auto config = loaded(alloy(host(cat("customer_id = \"a\", x = \"", value, "\""))));
    CHECK(label(config, "x") == plain);
  }
}

TEST_CASE("convert: a variable stays one beside dollars, and its name is told") {
  setenv("MSP_TEST_TAIL", "z", 1);
  const auto got = alloy(host("customer_id = \"a\", x = \"$\" + env(\"MSP_TEST_TAIL\") + \"$$\""));
  CHECK(label(loaded(got), "x") == "$z$$");
  CHECK(told(got, "to do: set MSP_TEST_TAIL for msp-agent"));
}

TEST_CASE("convert: identity from the label of that name, or of a similar one, which stays") {
  const auto exact = loaded(
      alloy(host("customer_id = \"a\", tenant = \"b\", server_name = \"s\", environment = \"e\"")));
  CHECK(exact.customer_id == "a");
  CHECK(exact.server_name == "s");
  CHECK(exact.environment == "e");
  CHECK(label(exact, "tenant") == "b");
  const auto similar = loaded(alloy(host("tenant = \"b\", hostname = \"s\", env = \"e\"")));
  CHECK(similar.customer_id == "b");
  CHECK(similar.server_name == "s");
  CHECK(similar.environment == "e");
  CHECK(label(similar, "tenant") == "b");
  CHECK(label(similar, "hostname") == "s");
  CHECK(label(similar, "env") == "e");
  CHECK(told(alloy(host("customer_id = \"A B\"")), "to do: customer_id"));
  CHECK(told(alloy(host("")), "to do: customer_id"));
}

TEST_CASE("convert: a rule is a label only where it writes the same on every sample") {
  const auto with_rule = [](const std::string& rule) {
    return import::convert(import::ForeignAgent::prometheus,
                           {{"p", cat("scrape_configs: [{job_name: j, static_configs: [{targets: "
                                      "['localhost:9100']}], metric_relabel_configs: [{",
                                      rule,
                                      "}]}]\nglobal: {external_labels: {customer_id: a}}\n"
                                      "remote_write: {url: 'http://h/w'}\n")}},
                           {});
  };
  const std::vector<std::string> labels = {
      "target_label: x, replacement: y",
      "target_label: x, replacement: y, regex: '.*', action: Replace",
      "target_label: x, replacement: y, source_labels: [device]",
      "target_label: x, replacement: y, source_labels: [job], regex: 'j|k'",
      "target_label: x, replacement: y, source_labels: [job, team], separator: '/', regex: 'j/'",
      "target_label: x, replacement: y, source_labels: [__name__], regex: '.+'"};
  for (const auto& rule : labels) {
    INFO(rule);
    CHECK(label(loaded(with_rule(rule)), "x") == "y");
  }
  CHECK(label(loaded(with_rule("target_label: x, source_labels: [job]")), "x") == "j");
  const std::vector<std::string> others = {
      "target_label: x, replacement: y, source_labels: [device], regex: '.+'",
      "target_label: x, replacement: y, source_labels: [__name__], regex: 'node_.*'",
      "target_label: x, replacement: 'y$1', source_labels: [__name__]",
      "target_label: x, source_labels: [device]",
      "target_label: x, source_labels: [job, instance]",
      "target_label: x, action: lowercase"};
  for (const auto& rule : others) {
    INFO(rule);
    const auto got = with_rule(rule);
    CHECK(label(loaded(got), "x").empty());
    CHECK(loaded(got).relabel.size() == 1);
  }
  const std::vector<std::string> without_effect = {
      "target_label: x, replacement: y, regex: 'z'",
      "target_label: x, replacement: y, source_labels: [job], regex: 'k'",
      "target_label: x, source_labels: [job], regex: '.*'",  // has no group, so $1 is empty
      "target_label: x, source_labels: [team]",
      "target_label: x",
      "target_label: x, replacement: ''"};
  for (const auto& rule : without_effect) {
    INFO(rule);
    const auto got = with_rule(rule);
    CHECK(label(loaded(got), "x").empty());
    CHECK_FALSE(told(got, "not carried over: metric_relabel_configs"));
    CHECK(told(got, "different: metric_relabel_configs.target_label"));
  }
}

TEST_CASE("convert: what goes round in circles, or parts and meets again, ends") {
  std::string ladder =
      "prometheus.exporter.unix \"u\" { }\nprometheus.scrape \"s\" {\n targets = "
      "prometheus.exporter.unix.u.targets\n forward_to = "
      "[prometheus.relabel.r0.receiver]\n}\n";
  for (int i = 0; i < 40; ++i) {
    const auto next = cat("prometheus.relabel.r", i + 1, ".receiver");
    ladder += cat("prometheus.relabel \"r", i, "\" {\n forward_to = [", next, ", ", next, "]\n}\n");
  }
  CHECK_FALSE(alloy(ladder + host("")).yaml.has_value());
  const auto circle = alloy(
      "prometheus.exporter.unix \"u\" { }\nprometheus.scrape \"s\" {\n targets = "
      "discovery.relabel.a.output\n forward_to = [prometheus.relabel.a.receiver]\n}\n"
      "discovery.relabel \"a\" {\n targets = concat(discovery.relabel.b.output, "
      "prometheus.exporter.unix.u.targets)\n}\n"
      "discovery.relabel \"b\" {\n targets = discovery.relabel.a.output\n}\n"
      "prometheus.relabel \"a\" {\n forward_to = [prometheus.relabel.b.receiver]\n}\n"
      "prometheus.relabel \"b\" {\n forward_to = [prometheus.relabel.a.receiver, "
      "prometheus.remote_write.w.receiver]\n}\n" +
      host("customer_id = \"a\""));
  CHECK(loaded(circle).customer_id == "a");
}

TEST_CASE("convert: too large is refused, large is not slow") {
  const auto large = import::convert(import::ForeignAgent::alloy,
                                     {{"f", std::string(import::kForeignBytesMax + 1, ' ')}}, {});
  CHECK(large.error == "f: more than 1048576 bytes; accepted: less");
  std::string many;
  while (many.size() < import::kForeignBytesMax - 1000) many += "a.b \"c\" {\n d = [1, 2]\n}\n";
  const auto got = alloy(many + host("customer_id = \"a\""));
  CHECK(loaded(got).customer_id == "a");
  CHECK(got.notes.size() > 10'000);
}

TEST_CASE("convert: a syntax error shows its line, but nothing that may be a secret") {
  CHECK(alloy("a {\n  b = = 1\n}").error ==
        "f.alloy:2:7: found '='; expected a value\n      b = ...\n          ^");
  const auto got = alloy("a {\n  password = \"hush\" \"\n}");
  CHECK(got.error.find("hush") == std::string::npos);
  CHECK(got.error.find("    password = ...") != std::string::npos);
  CHECK(import::convert(import::ForeignAgent::prometheus, {{"p.yml", "a: [1\nb: 2\n"}}, {})
            .error.starts_with("p.yml:1:4: "));
}

TEST_CASE("convert: a syntax error shows no value, wherever a secret may stand") {
  const std::vector<std::string> files = {
      "a {\n  url = \"https://u:hush@h/w\" oops\n}",
      "a {\n  url = \"https://h/w?token=hush\" oops\n}",
      "a {\n  headers = {\"X-Auth\" = \"hush\" \"Y\" = \"z\"}\n}",
      "a {\n  headers = {\n    \"X-Auth\" \"hush\",\n  }\n}",
      "a { url = \"https://u:hush@h/w\" b = 1 }",
      "a {\n  password = \"one\"hush\"\n}",
      "a {\n  password = \"one\" + hush hush\n}",
      "a {\n  password = \"hush\n}",
      "a {\n  password = `one\nhush\n\xff`\n}",
      "a {\n  password = \"hush\\q\"\n}",
      "a {\n  scrape_interval = \"15s\" password = \"hush\"\n}",
      "\"hush\" = 1",
      "a = hush\" \"x\""};
  for (const auto& file : files) {
    INFO(file);
    const auto got = alloy(file);
    CHECK_FALSE(got.error.empty());
    CHECK(got.error.find("hush") == std::string::npos);
  }
  for (const std::string file :
       {"remote_write:\n- url: 'https://u:hush@h/w' oops\n",
        "remote_write: [{headers: {X-Auth: hush]}]\n", "remote_write:\n- password: \"hush\n",
        "scrape_interval: 15s\n  password: hush\n"}) {
    INFO(file);
    const auto got = import::convert(import::ForeignAgent::prometheus, {{"p.yml", file}}, {});
    CHECK_FALSE(got.error.empty());
    CHECK(got.error.find("hush") == std::string::npos);
  }
}

TEST_CASE("convert: a header that the configuration refuses is left out, and nothing else is") {
  for (const std::string name :
       {"Host", "Content-Type", "content-encoding", "Content-Length", "Transfer-Encoding",
        "Connection", "Expect", "Authorization", "User-Agent", "Proxy-Authorization", "TE",
        "trailer", "Upgrade", "Keep-Alive", "Accept-Encoding", "X-Prometheus-Remote-Write-Version",
        "X-VictoriaMetrics-Remote-Write-Version", "bad name", ""}) {
    INFO(name);
    const auto got =
        alloy(host("customer_id = \"a\"",
                   cat("headers = {\"", name, "\" = \"x\", \"X-Scope-OrgID\" = \"a\"}")));
    CHECK(loaded(got).endpoints.at(0).headers.size() == 1);
    CHECK(told(got, cat("not carried over: prometheus.remote_write.w.endpoint.headers.", name)));
  }
}

TEST_CASE(
    "convert: a header of one value in a list, or in Prometheus' http_headers, is that value") {
  const auto got = import::convert(
      import::ForeignAgent::prometheus,
      {{"p",
        "global: {external_labels: {customer_id: a}}\nremote_write: [{url: 'http://h/w', "
        "http_headers: {A: {values: [a]}, B: {secrets: [b]}, C: {values: [a, b]}, D: {files: "
        "[/d]}}}]\n"}},
      {});
  const auto headers = loaded(got).endpoints.at(0).headers;
  CHECK(headers == std::map<std::string, std::string>{{"A", "a"}, {"B", "b"}});
  CHECK(told(got, "not carried over: remote_write.http_headers.C: "));
  CHECK(told(got, "not carried over: remote_write.http_headers.D: "));
}

TEST_CASE("convert: one value that the configuration refuses never costs the whole result") {
  const auto with = [](const std::string& variable, const std::string& more) {
    return import::convert(import::ForeignAgent::alloy, {{"f", host("customer_id = \"a\"", more)}},
                           import::ForeignFile{"e", variable});
  };
  const auto timeout = with("X=1.5m\n", "remote_timeout = env(\"X\")");
  CHECK(told(timeout, "'${X}' is set to no duration that msp-agent reads"));
  CHECK(timeout.yaml.has_value());
  const auto empty = with("X=\n", "bearer_token = env(\"X\")");
  CHECK(told(empty, "its variable is set to nothing; set it to the secret"));
  CHECK(empty.yaml.has_value());
  const auto user = with("X=a:b\n", "basic_auth {\n username = env(\"X\")\n password = \"p\"\n}");
  CHECK(told(user, "a user name with ':'"));
  CHECK(user.yaml.has_value());
  const auto path = with("X=relative\n",
                         "basic_auth {\n username = \"u\"\n password_file = "
                         "env(\"X\") + \"/pw\"\n}");
  CHECK(told(path, "the path of a file is relative"));
  CHECK(path.yaml.has_value());
}

TEST_CASE("convert: a login that is not known is left to be filled in, and refused until then") {
  struct Row {
    std::string endpoint;
    std::string key;  // what is refused
  };
  const std::string file = "local.file \"s\" {\n filename = \"/s\"\n}\n";
  const std::vector<Row> rows = {
      {"basic_auth {\n username = local.file.s.content\n password = \"p\"\n}", "username"},
      {"basic_auth {\n username = string.to_lower(env(\"U\"))\n password = \"p\"\n}", "username"},
      {"basic_auth {\n password = \"p\"\n}", "username"},
      {"basic_auth {\n username = \"u\"\n}", "password"},
      {"basic_auth {\n username = \"u\"\n password = remote.vault.v.data.p\n}", "password"},
      {"basic_auth {\n username = \"u\"\n password_file = \"relative\"\n}", "password"},
      {"bearer_token = remote.vault.v.data.t", "bearer_token"},
      {"bearer_token_file = \"relative\"", "bearer_token"},
      {"authorization {\n credentials = remote.vault.v.data.t\n}", "bearer_token"},
      {"headers = {\"X-Scope-OrgID\" = local.file.s.content}", "headers.X-Scope-OrgID"},
      {"headers = {\"X-Scope-OrgID\" = [remote.vault.v.data.t]}", "headers.X-Scope-OrgID"}};
  for (const auto& row : rows) {
    INFO(row.endpoint);
    const auto got = alloy(file + host("customer_id = \"a\"", row.endpoint));
    REQUIRE(got.yaml.has_value());
    CHECK(told(got, "to do: prometheus.remote_write.w.endpoint."));
    const auto outcome = config::parse_config(*got.yaml, "f");
    REQUIRE(outcome.errors.size() == 1);
    CHECK(outcome.errors.front().text.find(cat(row.key, ": found ")) != std::string::npos);
  }
  const auto url = alloy(
      "prometheus.remote_write \"w\" {\n external_labels = {customer_id = \"a\"}\n "
      "endpoint {\n url = \"http://u@h/w\"\n }\n}\n");
  CHECK_FALSE(config::parse_config(url.yaml.value_or(""), "f").errors.empty());
}

TEST_CASE("convert: certificates and secrets in files are found by one rule") {
  setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x", 1);
  const auto got = alloy(
      "local.file \"s\" {\n filename = sys.env(\"CREDENTIALS_DIRECTORY\") + \"/s\"\n}\n" +
      host("customer_id = \"a\"",
           "bearer_token = local.file.s.content\n tls_config {\n ca_pem = local.file.s.content\n "
           "cert_pem = local.file.s.content\n key_pem = local.file.s.content\n }"));
  const auto endpoint = loaded(got).endpoints.at(0);
  for (const auto& path : {endpoint.bearer_token_file, endpoint.tls.ca_file, endpoint.tls.cert_file,
                           endpoint.tls.key_file}) {
    CHECK(path == "/run/credentials/x/s");
  }
  CHECK(told(got, "LoadCredential="));
}

TEST_CASE("convert: all files of a folder are told what is wrong with them") {
  const auto got =
      import::convert(import::ForeignAgent::alloy, {{"1", "a = "}, {"2", "b { }"}, {"3", "}"}}, {});
  CHECK(got.error.find("1:1:5: ") != std::string::npos);
  CHECK(got.error.find("3:1:1: ") != std::string::npos);
  CHECK_FALSE(got.yaml.has_value());
}

TEST_CASE("convert: durations of Go and Prometheus") {
  struct Row {
    std::string text;
    long ms;
  };
  const std::vector<Row> rows = {{"15s", 15'000},       {"1m30s", 90'000}, {"1.5s", 1'500},
                                 {"500ms", 500},        {"1h", 3'600'000}, {"1d", 86'400'000},
                                 {"2w", 1'209'600'000}, {"0s", 0}};
  for (const auto& row : rows) CHECK(import::foreign_duration_ms(row.text) == row.ms);
  for (const std::string bad : {"", "15", "s", "1x", "1.2.3s", "-1s", "1s ", "99999999999999y"}) {
    INFO(bad);
    CHECK_FALSE(import::foreign_duration_ms(bad).has_value());
  }
}

TEST_CASE("convert: an environment file as systemd reads it") {
  import::Notes notes;
  const import::EnvFile env(
      "e",
      "A=1\n# B=2\n;C=3\n  D = two words \nexport J=1\nE=\"a b\"\nF='$x'\"y\"\\z\r\n"
      "G=long\\\n  er\nnonsense\n9=x\nH=\nI=\"open\nK=\xff\n",
      notes);
  CHECK(env.expand("${A}${D}|${E}|${F}|${G}|${H}") == "1two words|a b|$xyz|longer|");
  CHECK_FALSE(env.expand("${B}").has_value());
  CHECK_FALSE(env.expand("${C}").has_value());
  CHECK_FALSE(env.expand("${I}").has_value());
  CHECK(env.expand("${B:-x}${H:-y}${A:-z}$$") == "xy1$");
  CHECK_FALSE(env.expand("${J}").has_value());  // systemd ignores the line
  CHECK_FALSE(env.expand("${K}").has_value());  // nor does it take what is not UTF-8
  CHECK(notes.sorted().size() == 5);
}

}  // namespace
}  // namespace msp
