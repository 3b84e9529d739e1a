#include "agent/cli/config_draft.h"

#include "agent/base/text.h"
#include "agent/config/config.h"

namespace msp {
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

}  // namespace

std::string ConfigDraft::yaml() const {
  auto text = cat(
      "# Written by `msp-agent init`. Every key there is, with its default: msp-agent.yaml(5).\n\n"
      "# Who the server belongs to, and what it is called: on every sample.\n",
      line("", "customer_id", customer_id), line("", "server_name", server_name),
      line("", "environment", environment));
  if (!labels.empty()) {
    text += "\n# On every sample as well.\nlabels:\n";
    for (const auto& label : labels) text += line("  ", label.name, label.value);
  }
  text += "\n# Where samples are sent.\nremote_write:\n";
  text += line("  ", "url", url);
  if (!username.empty() || !password_file.empty()) {
    text += cat("  basic_auth:\n", line("    ", "username", username),
                line("    ", "password_file", password_file));
  }
  text += line("  ", "bearer_token_file", bearer_token_file);
  if (!ca_file.empty()) text += cat("  tls:\n", line("    ", "ca_file", ca_file));
  return text;
}

std::string ConfigDraft::problem_with(std::string_view key) const {
  auto whole = *this;
  if (whole.customer_id.empty()) whole.customer_id = "any";
  if (whole.url.empty()) whole.url = "http://any";
  for (const auto& error : parse_config(whole.yaml(), "").errors) {
    if (error.text.starts_with(key)) return error.text;
  }
  return {};
}

}  // namespace msp
