// A configuration of ours in the making: what the mappings have found, before it is written as
// YAML. Texts are those of a Setting: ${NAME} is a variable, $$ a '$'.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/import/setting.h"

namespace msp {

struct ImportedLabel {
  enum class Value {
    text,       // `text`
    host_name,  // asked for when the agent runs
    address,    // `text`: the address of the target that was scraped
    unknown,    // what is at `at` makes it in a way that is not carried over
  };
  /// What the other agent does with a label of the same name that a metric has by itself.
  enum class OwnLabel { stays, is_renamed, is_overwritten };

  std::string name = {};
  std::string text = {};
  Place at = {};
  Value value = Value::text;
  OwnLabel own = OwnLabel::stays;

  bool is_known() const { return value != Value::unknown; }
};
using ImportedLabels = std::vector<ImportedLabel>;

/// Empty texts are not set.
struct ImportedEndpoint {
  Place at;
  std::string title;  // what it was called
  std::string url;
  std::string username;
  std::string password;
  std::string password_file;
  bool has_login = false;  // by basic_auth: what of it is empty is to be filled in
  std::string bearer_token;
  std::string bearer_token_file;
  bool has_bearer = false;  // the same
  std::vector<std::pair<std::string, std::string>> headers;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;
  bool insecure_skip_verify = false;
  std::string proxy_url;
  std::vector<std::string> no_proxy;
  std::string timeout;
  ImportedLabels labels;  // what was set on every sample on its way to this endpoint
};

struct ImportedConfig {
  std::optional<ImportedLabel> customer_id;
  std::optional<ImportedLabel> server_name;
  std::optional<ImportedLabel> environment;
  ImportedLabels labels;
  std::string interval;
  std::optional<std::vector<std::string>> enabled;  // collectors; nothing: the default set
  std::vector<std::string> disabled;
  std::map<std::string, std::map<std::string, std::string>> collector_options;
  std::vector<ImportedEndpoint> endpoints;
  bool collects_nothing = false;
  std::string why_nothing;  // why nothing is collected or delivered, where that is known
  std::string log_level;
};

/// Null where there is none of that name.
const ImportedLabel* find_label(const ImportedLabels& labels, std::string_view name);

}  // namespace msp
