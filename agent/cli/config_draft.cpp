#include "agent/cli/config_draft.h"

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <variant>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/config/schema.h"

namespace msp::cli {
namespace {

/// In single quotes, in which YAML knows no escape but the doubled quote.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c;
    if (c == '\'') out += c;
  }
  return out + "'";
}

std::string line(std::string_view indent, std::string_view key, std::string_view value) {
  return value.empty() ? std::string() : cat(indent, key, ": ", quoted(value), "\n");
}

using Values = std::map<std::string, std::string>;  // by the paths of their keys

/// The keys of a mapping that have values, in the order of the table.
std::string mapping(std::span<const ConfigKey> keys, const std::string& above, const Values& values,
                    const std::vector<metrics::Label>& labels) {
  const auto depth = std::count(above.begin(), above.end(), '.');
  const std::string indent(2 * static_cast<std::size_t>(depth), ' ');
  std::string text;
  for (const auto& key : keys) {
    const auto path = cat(above, key.name);
    std::string inner;
    if (const auto* group = std::get_if<key_type::Group>(&key.type)) {
      inner = mapping(group->keys(key.name), path + ".", values, labels);
    } else if (const auto* groups = std::get_if<key_type::Groups>(&key.type)) {
      inner = mapping(groups->keys(key.name), path + ".", values, labels);
    } else if (path == "labels") {
      for (const auto& label : labels) inner += line("  ", label.name, label.value);
    } else if (const auto value = values.find(path); value != values.end()) {
      text += line(indent, key.name, value->second);
    }
    if (!inner.empty()) text += cat(indent.empty() ? "\n" : "", indent, key.name, ":\n", inner);
  }
  return text;
}

}  // namespace

std::string ConfigDraft::yaml() const {
  const Values values = {
      {"customer_id", customer_id},
      {"server_name", server_name},
      {"environment", environment},
      {"remote_write.url", url},
      {"remote_write.basic_auth.username", username},
      {"remote_write.basic_auth.password_file", password_file},
      {"remote_write.bearer_token_file", bearer_token_file},
      {"remote_write.tls.ca_file", ca_file},
  };
  return cat(
      "# Written by `msp-agent init`. msp-agent.yaml(5) has every key, with its default.\n\n",
      mapping(config::config_schema().keys(""), "", values, labels), scrape.empty() ? "" : "\n",
      scrape);
}

std::string ConfigDraft::problem_with(std::string_view key) const {
  auto whole = *this;
  if (whole.customer_id.empty()) whole.customer_id = "any";
  if (whole.url.empty()) whole.url = "http://any";
  for (const auto& error : config::parse_config(whole.yaml(), "").errors) {
    if (error.text.starts_with(key)) return error.text;
  }
  return {};
}

}  // namespace msp::cli
