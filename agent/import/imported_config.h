// A configuration of ours in the making: what the mappings have found, before it is written as
// YAML. Texts are those of a Setting: ${NAME} is a variable, $$ a '$'.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/import/setting.h"
#include "agent/metrics/relabel.h"

namespace msp::import {

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
  bool is_of_host = false;  // only this host's own samples have it, not those of other targets

  bool is_known() const { return value != Value::unknown; }
};
using ImportedLabels = std::vector<ImportedLabel>;

/// How a server is asked. Empty texts are not set.
struct ImportedHttp {
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
};

struct ImportedRule {
  metrics::RelabelRule rule;
  Place at;
  friend bool operator==(const ImportedRule& a, const ImportedRule& b) { return a.rule == b.rule; }
};
using ImportedRules = std::list<ImportedRule>;

struct ImportedEndpoint : ImportedHttp {
  Place at;
  std::string title;  // what it was called
  std::string url;
  std::string proxy_url;
  std::vector<std::string> no_proxy;
  std::string timeout;
  ImportedLabels labels;  // what was set on every sample of this host on its way to this endpoint
  ImportedRules relabel;  // of everything that is sent to it
};

/// What is looked at beside this host, and the labels of its series.
struct ImportedTarget : ImportedHttp {
  Place at;
  std::string title;  // what scraped it
  std::string job;
  std::string interval;
  std::string timeout;
  ImportedLabels labels;
};

/// Targets with the same labels.
struct ImportedScrape : ImportedTarget {
  std::vector<std::string> targets;
  std::string body_max;
  std::string series_max;
  bool honor_labels = false;
  bool honor_timestamps = false;
  ImportedRules relabel;
};

struct ImportedProbe : ImportedTarget {
  /// A key of a probe, and its value or its values.
  struct Key {
    std::string_view name;
    std::vector<std::string> texts;
    enum class Form { text, word, list } form = Form::text;  // a word needs no quotes
  };
  // In these texts are as they are, without variables.
  /// Of a dialog over TCP; what is empty is not set.
  struct Step {
    std::string expect = {};
    std::string send = {};
    bool starts_tls = false;
    std::vector<std::pair<std::string, std::string>> labels = {};
  };
  /// Expressions for the records of a section of an answer, by the key that says what of them.
  struct Records {
    std::string_view name;
    std::vector<std::pair<std::string_view, std::vector<std::string>>> expressions = {};
  };

  std::string name;
  std::string target;
  std::vector<Key> keys;  // those of its module, beside the two that follow
  std::vector<Step> query_response;
  std::vector<Records> records;
};

/// Where it takes the samples of others. An empty text is to be filled in.
struct ImportedListen {
  Place at;
  std::string title;
  std::string address;
  bool has_tls = false;
  bool needs_certificates = false;  // of its clients
  std::string cert_file;
  std::string key_file;
  std::string client_ca_file;
};

/// A rule of process-exporter's.
struct ImportedProcessGroup {
  Place at = {};
  std::string name = {};  // empty: not set
  std::vector<std::string> comm = {}, exe = {};
  std::vector<std::string> cmdline = {};  // as they are, without variables
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
  std::vector<ImportedProcessGroup> process_groups;  // empty: the collector is not carried over
  std::vector<ImportedEndpoint> endpoints;
  std::list<ImportedScrape> scrapes;
  std::list<ImportedProbe> probes;
  std::optional<ImportedListen> listen;
  ImportedRules relabel;           // of this host's samples
  ImportedRules relabel_of_all;    // of every sample, behind them
  ImportedLabels external_labels;  // as they are written
  bool collects_nothing = false;
  std::string why_nothing;  // why nothing is collected or delivered, where that is known
  std::string log_level;
};

/// Null where there is none of that name.
const ImportedLabel* find_label(const ImportedLabels& labels, std::string_view name);

}  // namespace msp::import
