// docs/configuration.md, which tests/tree/configuration_page.py makes of the manual page: what it
// shows is accepted, and the ranges are those that the agent tells who leaves them.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <regex>

#include "tests/support/config_rows.h"
#include "tests/support/shipped_config.h"

namespace msp {
namespace {

std::string page() {
  std::ifstream in(CONFIGURATION_PAGE);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The example of one key, with what must stand beside it.
std::string completed(const std::string& example) {
  auto yaml = example;
  constexpr std::pair<std::string_view, std::string_view> kBeside[] = {
      {"    username:", "    password: p\n"},      {"    password:", "    username: u\n"},
      {"    password_file:", "    username: u\n"}, {"    cert_file:", "    key_file: /k\n"},
      {"    key_file:", "    cert_file: /c\n"},
  };
  for (const auto& [key, line] : kBeside) {
    if (example.find(key) != example.npos) yaml += line;
  }
  constexpr std::string_view kEndpoint = "remote_write:\n";
  const bool has_endpoint = yaml.starts_with(kEndpoint);
  if (has_endpoint && yaml.find("\n  url:") == yaml.npos) {
    yaml.insert(kEndpoint.size(), "  url: http://h/w\n");
  }
  if (!has_endpoint) yaml += "remote_write: {url: http://h/w}\n";
  if (!yaml.starts_with("customer_id:")) yaml += "customer_id: t\n";
  return yaml;
}

/// The error about the only value of `yaml`, a key's path and what it is set to.
std::string error_about(const std::string& key, const std::string& value) {
  std::string yaml;
  std::size_t depth = 0;
  for (auto rest = std::string_view(key); !rest.empty(); ++depth) {
    const auto name = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    yaml += cat(std::string(2 * depth, ' '), name, ":", rest.empty() ? " " + value : "", "\n");
  }
  const auto errors = test::errors_of(completed(yaml));
  return errors.size() == 1 ? errors.front() : cat(errors.size(), " errors");
}

}  // namespace

TEST_CASE("every example in docs/configuration.md is accepted") {
  setenv("PASSWORD", "p", 1);
  setenv("TOKEN", "t", 1);
  const auto text = page();
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

TEST_CASE("the ranges in docs/configuration.md are those of the errors") {
  const auto text = page();
  const std::regex entry(
      "### `([a-z_.]+)`\n[^#]*Type: (?:duration|size|number)\\. Range: ([^.]*)\\.");
  int found = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), entry), end; at != end; ++at) {
    const auto error = error_about((*at)[1], "'?'");
    INFO(error);
    CHECK(error.find((*at)[2].str()) != error.npos);
    ++found;
  }
  CHECK(found == 8);
}

}  // namespace msp
