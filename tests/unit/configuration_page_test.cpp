// The pages about the configuration are those that the table of keys makes: MSP_UPDATE_GOLDEN=1 writes
// them anew. What they show is accepted, and they have every key.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <regex>

#include "agent/config/schema.h"
#include "tests/support/config_rows.h"
#include "tests/support/configuration_pages.h"

namespace msp {
namespace {

#ifndef MSP_AGENT_HELP
#error "the pages need the texts of the keys, which a release build leaves out"
#endif

constexpr const char* kManual = TREE "/packaging/man/msp-agent.yaml.5";
constexpr const char* kMarkdown = TREE "/docs/configuration.md";
constexpr const char* kYaml = TREE "/etc/msp-agent.yaml";

std::string content(const char* file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The example of one key, with what must stand beside it.
std::string completed(const std::string& example) {
  auto yaml = example;
  constexpr std::pair<std::string_view, std::string_view> kBeside[] = {
      {" username:", "password: p\n"},
      {" password:", "username: u\n"},
      {" password_file:", "username: u\n"},
      {" cert_file:", "key_file: /k\n"},
      {" key_file:", "cert_file: /c\n"},
      {" client_ca_file:", "cert_file: /c\n    key_file: /k\n"},
  };
  const auto indent = example.find("\n  clients:") != example.npos ? "      " : "    ";
  for (const auto& [key, line] : kBeside) {
    if (example.find(key) != example.npos) yaml += cat(indent, line);
  }
  constexpr std::string_view kEndpoint = "remote_write:\n";
  const bool has_endpoint = yaml.starts_with(kEndpoint);
  if (has_endpoint && yaml.find("\n  url:") == yaml.npos) {
    yaml.insert(kEndpoint.size(), "  url: http://h/w\n");
  }
  constexpr std::string_view kScrape = "scrape:\n";
  if (yaml.starts_with(kScrape) && yaml.find("job:") == yaml.npos) {
    yaml.insert(kScrape.size(), "  job: j\n");
  }
  if (yaml.starts_with(kScrape) && yaml.find("targets:") == yaml.npos) {
    yaml.insert(kScrape.size(), "  targets: [h:1]\n");
  }
  constexpr std::string_view kProbes = "probes:\n";
  if (yaml.starts_with(kProbes) && yaml.find("\n  name:") == yaml.npos) {
    yaml.insert(kProbes.size(), "  name: p\n");
  }
  if (yaml.starts_with(kProbes) && yaml.find("\n  target:") == yaml.npos) {
    yaml.insert(kProbes.size(), "  target: h:1\n");
  }
  if (yaml.starts_with(kProbes) && yaml.find("use_tls:") != yaml.npos) {
    yaml.insert(kProbes.size(), "  module: tcp\n");
  }
  constexpr std::string_view kListen = "listen:\n";
  if (yaml.starts_with(kListen) && yaml.find("address:") == yaml.npos) {
    yaml.insert(kListen.size(), "  address: 127.0.0.1:1\n");
  }
  constexpr std::string_view kClients = "listen:\n  address: 127.0.0.1:1\n  clients:\n";
  if (yaml.starts_with(kClients) &&
      (yaml.find("    name:") != yaml.npos || yaml.find("    labels:") != yaml.npos)) {
    yaml.insert(kClients.size(), "    bearer_token_file: /token\n");
  }
  constexpr std::string_view kOfDns[] = {"query_", "_rrs:", "_rcodes:", "transport_", "recursion_"};
  if (yaml.starts_with(kProbes) &&
      std::ranges::any_of(kOfDns, [&](auto part) { return yaml.find(part) != yaml.npos; })) {
    yaml.insert(kProbes.size(), "  module: dns\n");
    if (yaml.find("query_name:") == yaml.npos) yaml.insert(kProbes.size(), "  query_name: n\n");
  }
  const bool is_rule = yaml.starts_with("relabel:\n") && yaml.find("action:") == yaml.npos;
  if (is_rule && yaml.find("target_label:") == yaml.npos) yaml += "  target_label: x\n";
  if (!has_endpoint) yaml += "remote_write: {url: http://h/w}\n";
  if (!yaml.starts_with("customer_id:")) yaml += "customer_id: t\n";
  return yaml;
}

}  // namespace

TEST_CASE("every example in docs/configuration.md is accepted") {
  setenv("PASSWORD", "p", 1);
  setenv("TOKEN", "t", 1);
  const auto text = content(kMarkdown);
  const std::regex block("\n```yaml\n([^`]*)```\n");
  int found = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), block), end; at != end; ++at) {
    const auto example = (*at)[1].str();
    const auto yaml =
        example.find("\nremote_write:") == example.npos ? completed(example) : example;
    INFO(yaml);
    CHECK(test::errors_of(yaml).empty());
    ++found;
  }
  CHECK(found > 30);
  unsetenv("PASSWORD");
  unsetenv("TOKEN");
}

TEST_CASE("the pages of the configuration are those that its table makes") {
  const std::pair<const char*, std::string> pages[] = {
      {kManual, test::manual_page()},
      {kMarkdown, test::markdown_page()},
      {kYaml, test::commented_yaml()},
  };
  for (const auto& [file, text] : pages) {
    if (std::getenv("MSP_UPDATE_GOLDEN") != nullptr) std::ofstream(file) << text;
    INFO(file << ": MSP_UPDATE_GOLDEN=1 build/dev/tests/unit_tests writes it anew");
    CHECK(content(file) == text);
  }
}

TEST_CASE("every key of the table has a text and is in every page") {
  const auto manual = content(kManual), markdown = content(kMarkdown), yaml = content(kYaml);
  int found = 0;
  config::visit_keys([&](const ConfigKey& key, const std::string& path) {
    INFO(path);
    // The keys of a step are described in the text of `query_response`.
    if (path.find(".query_response.") != path.npos) return;
    const std::regex in_yaml(cat("(^|\n) *#?", key.name, ":"));
    CHECK(std::regex_search(yaml, in_yaml));
    if (std::holds_alternative<key_type::Group>(key.type) ||
        std::holds_alternative<key_type::Groups>(key.type)) {
      return;
    }
    CHECK_FALSE(key.help.text.empty());
    // The keys of a rule are described once, in `relabel`.
    if (path.find(".relabel.") != path.npos) return;
    CHECK(manual.find(cat("\n.It Ic ", path, " : Ar ")) != manual.npos);
    CHECK(markdown.find(cat("\n### `", path, "`\n")) != markdown.npos);
    ++found;
  });
  CHECK(found > 40);
}

}  // namespace msp
