// The configuration as plain data, after validation: whoever holds a Config may trust every value
// in it. DESIGN: YAML in, Config out; nothing else of the agent reads the file or the environment.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/base/log.h"
#include "agent/base/result.h"
#include "agent/http/options.h"
#include "agent/metrics/labels.h"
#include "collectors/collector.h"

namespace msp {

/// The wire format of requests. `automatic` takes the best that the endpoint understands.
enum class Protocol { automatic, prometheus_1_0, prometheus_2_0, victoriametrics };

/// What goes first after an outage. `automatic`: what the endpoint takes.
enum class Order { automatic, fresh_first, oldest_first };

struct EndpointConfig : HttpOptions {
  std::string label;  // the key `name`: who it is when its url changes; empty: its url
  Protocol protocol = Protocol::automatic;
  Order order = Order::automatic;
  std::uint64_t catch_up_rate = 100'000;    // samples a second of a backlog; 0: unlimited
  std::chrono::milliseconds send_every{0};  // of live samples; 0: the interval

  /// The order, where it is given or follows from the protocol: VictoriaMetrics takes samples in
  /// any, Prometheus need not.
  Order known_order() const {
    if (order != Order::automatic || protocol == Protocol::automatic) return order;
    return protocol == Protocol::victoriametrics ? Order::fresh_first : Order::oldest_first;
  }

  /// The URL as it may be shown: without its query, which may hold a secret. No two endpoints have
  /// the same.
  std::string name() const { return url.substr(0, url.find('?')); }
  friend bool operator==(const EndpointConfig&, const EndpointConfig&) = default;
};

struct BufferConfig {
  std::string path = "/var/lib/msp-agent/buffer";  // absolute
  std::uint64_t bytes_max = 256 << 20;
  std::chrono::milliseconds age_max = std::chrono::hours(7 * 24);
  // Left free on the file system, or 5 % of it where that is less.
  std::uint64_t free_bytes_min = 512 << 20;
  // Where a crash-safe copy of what was just collected lives: $RUNTIME_DIRECTORY (systemd.exec(5)),
  // which is memory, or else `path`.
  std::string head_path = path;
  friend bool operator==(const BufferConfig&, const BufferConfig&) = default;
};

struct Config {
  std::string customer_id;
  std::string server_name;
  std::string environment;  // empty: not set
  std::string host_name;    // the label instance
  std::vector<Label> labels;
  std::chrono::milliseconds interval{15'000};
  std::size_t series_max = kSeriesMaxDefault;  // of one source
  std::vector<std::string> collectors;         // those that run, in the registry's order
  std::vector<std::string> collectors_disabled;
  std::map<std::string, CollectorOptions> collector_options;  // by collector, on or off
  std::vector<EndpointConfig> endpoints;                      // at least one
  BufferConfig buffer;
  LogLevel log_level = LogLevel::info;

  /// What goes on every sample beside its own labels.
  TargetLabels target_labels() const;
};

/// One thing wrong with a configuration file.
struct ConfigError {
  std::string file;
  int line = 0;         // counts from 1; 0: of the file as a whole
  int column = 0;       // counts characters from 1
  std::string text;     // one line: names the key, what was found, what is accepted; never a secret
  std::string excerpt;  // the line, and a caret under the column; empty: there is none

  std::string to_string() const;  // file:line:column: text
};

/// What a file holds, and all that is wrong with it; usable only when `errors` is empty.
struct ConfigOutcome {
  Config config;
  std::vector<ConfigError> errors;    // in the file's order
  std::vector<std::string> warnings;  // worth telling, not worth refusing: a world-readable secret
  std::vector<std::string> inline_secrets;  // keys whose secret stands in the file itself
};

/// Larger files are refused.
inline constexpr std::size_t kConfigBytesMax = 1 << 20;

/// More endpoints are refused: their threads and descriptors would not fit into the unit's
/// TasksMax= and LimitNOFILE=.
inline constexpr std::size_t kEndpointsMax = 16;

/// Reads and validates `path`, and looks at who may read it and the files of secrets it names.
/// Expands ${NAME} and ${NAME:-default} in values from the environment. Never throws.
ConfigOutcome load_config(const std::string& path);

/// The same for text that is already in memory; `file` is what errors call it. Touches no file.
ConfigOutcome parse_config(const std::string& text, const std::string& file);

}  // namespace msp
