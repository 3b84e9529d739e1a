// The configuration as plain data, after validation: whoever holds a Config may trust every value
// in it. Nothing else of the agent reads the file or the environment.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/core/labels.h"
#include "agent/core/result.h"
#include "collectors/collector.h"

namespace msp {

enum class LogLevel { debug, info, warning, error };

struct TlsConfig {
  std::string ca_file;    // empty: the system's
  std::string cert_file;  // both or neither
  std::string key_file;
  std::string server_name;  // empty: the URL's host
  bool insecure_skip_verify = false;
};

struct EndpointConfig {
  std::string url;       // http or https, with a host, without user and password
  std::string username;  // of basic authentication; empty: none
  std::string password;
  std::string password_file;  // wins over password
  std::string bearer_token;   // not together with username
  std::string bearer_token_file;
  std::map<std::string, std::string> headers;
  TlsConfig tls;
  std::string proxy_url;
  std::chrono::milliseconds timeout{10'000};

  /// The URL as it may be shown: without its query, which may hold a secret.
  std::string name() const { return url.substr(0, url.find('?')); }
};

struct BufferConfig {
  std::string path = "/var/lib/msp-agent/buffer";
  std::uint64_t bytes_max = 256ull << 20;
  std::chrono::milliseconds age_max = std::chrono::days(7);
  std::uint64_t free_bytes_min =
      512ull << 20;  // left free on the file system, or 5 % of it where that is less
  std::string
      head_path;  // of what was just collected: $RUNTIME_DIRECTORY (systemd.exec(5)), else path
};

struct Config {
  std::string customer_id;
  std::string server_name;
  std::string environment;  // empty: not set
  std::string host_name;    // the label instance
  std::vector<Label> labels;
  std::chrono::milliseconds interval{15'000};
  std::vector<std::string> collectors;  // enabled ones, in the registry's order
  CollectorOptions collector_options;
  std::vector<EndpointConfig> endpoints;  // at least one, no URL twice
  BufferConfig buffer;
  LogLevel log_level = LogLevel::info;

  /// What goes on every sample beside its own labels.
  TargetLabels target_labels() const;
};

/// One thing wrong with a configuration file.
struct ConfigError {
  std::string file;
  int line = 0;  // counts from 1; 0: the file as a whole
  int column = 0;
  std::string text;  // names the key, what was found, what is accepted

  std::string to_string() const;  // file:line:column: text
};

/// What a file holds, and all that is wrong with it; usable only when `errors` is empty.
struct ConfigOutcome {
  Config config;
  std::vector<ConfigError> errors;
  std::vector<std::string>
      warnings;  // worth telling, not worth refusing: a secret that everybody can read
};

/// Reads and validates `path`. ${NAME} and ${NAME:-default} in values come from the environment.
/// Never throws.
ConfigOutcome load_config(const std::string& path);

/// The same for text that is already in memory; `file` is what errors call it.
ConfigOutcome parse_config(const std::string& text, const std::string& file);

}  // namespace msp
