// A configuration of ours in the making: what the mappings have found, before it is written as
// YAML. Texts are those of a Setting: ${NAME} is a variable, $$ a '$'.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/import/setting.h"

namespace msp {

struct DraftLabel {
  std::string name;
  std::string text;
  Place at;
  bool is_host_name = false;  // instead of `text`
};
using DraftLabels = std::vector<DraftLabel>;

/// Empty texts are not set.
struct DraftEndpoint {
  Place at;
  std::string title;  // what it was called
  std::string url;
  std::string username;
  std::string password;
  std::string password_file;
  std::string bearer_token;
  std::string bearer_token_file;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;
  bool insecure_skip_verify = false;
  std::string proxy_url;
  std::vector<std::string> no_proxy;
  std::string timeout;
  DraftLabels labels;  // what was set on every sample on its way to this endpoint
};

struct Draft {
  std::optional<DraftLabel> customer_id;
  std::optional<DraftLabel> server_name;
  std::optional<DraftLabel> environment;
  DraftLabels labels;
  std::string interval;
  std::optional<std::vector<std::string>> enabled;  // collectors; nothing: the default set
  std::vector<std::string> disabled;
  std::map<std::string, std::map<std::string, std::string>> collector_options;
  std::vector<DraftEndpoint> endpoints;
  std::string log_level;
};

/// Sets `label`, in the place of one of its name.
void set_label(DraftLabels& labels, DraftLabel label);

/// Null where there is none of that name.
const DraftLabel* find_label(const DraftLabels& labels, std::string_view name);

}  // namespace msp
