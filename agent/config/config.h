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
#include "agent/metrics/relabel.h"
#include "agent/metrics/series_writer.h"
#include "collectors/collector.h"

namespace msp::config {

/// The wire format of requests. `automatic` takes the best that the endpoint understands.
enum class Protocol { automatic, prometheus_1_0, prometheus_2_0, victoriametrics };

/// What goes first after an outage. `automatic`: what the endpoint takes.
enum class Order { automatic, fresh_first, oldest_first };

/// Which collectors run where the configuration does not list them: the few that every host is looked
/// at by; those that are on by default; all.
enum class Preset { minimal, standard, full };

struct EndpointConfig : http::HttpOptions {
  std::string label;  // the key `name`: who it is when its url changes; empty: its url
  Protocol protocol = Protocol::automatic;
  Order order = Order::automatic;
  std::uint64_t catch_up_rate = 100'000;      // samples a second of a backlog; 0: unlimited
  std::chrono::milliseconds send_every{0};    // of live samples; 0: the interval
  std::vector<metrics::RelabelRule> relabel;  // of what goes to this endpoint

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

/// Exporters of one job. What HttpOptions has of an address is made from each target.
struct ScrapeConfig : http::HttpOptions {
  std::string job;
  std::vector<std::string> targets;       // at least one: a URL, host:port, unix:/path
  std::chrono::milliseconds interval{0};  // 0: the agent's
  std::vector<metrics::Label> labels;
  bool honor_labels = false;
  bool honors_timestamps = false;
  bool normalizes = true;
  std::uint64_t body_bytes_max = 8 << 20;
  std::uint64_t series_max = 10'000;  // of one target
  std::vector<metrics::RelabelRule> relabel;
  friend bool operator==(const ScrapeConfig&, const ScrapeConfig&) = default;
};

enum class ProbeModule { http, tcp, icmp, dns };

enum class DnsTransport { udp, tcp };

/// Expressions about the records of one section of an answer, each record as text.
struct DnsRecordRules {
  std::vector<std::string> forbidden;     // no record may match one
  std::vector<std::string> required;      // every record must match each
  std::vector<std::string> one_required;  // some record must match one
  friend bool operator==(const DnsRecordRules&, const DnsRecordRules&) = default;
};

/// The question of a probe to a name server, and what its answer should be.
struct DnsOptions {
  std::string query_name;
  std::string query_type = "ANY";
  DnsTransport transport = DnsTransport::udp;
  bool recursion_desired = true;
  std::vector<std::string> valid_rcodes;  // empty: NOERROR
  DnsRecordRules answer_rules;
  DnsRecordRules authority_rules;
  DnsRecordRules additional_rules;
  friend bool operator==(const DnsOptions&, const DnsOptions&) = default;
};

/// A label of probe_expect_info.
struct ExpectLabel {
  std::string name;
  std::optional<std::string> value;
  friend bool operator==(const ExpectLabel&, const ExpectLabel&) = default;
};

/// What a tcp probe waits for, and says then.
struct QueryResponse {
  std::optional<std::string> expect;  // empty counts as none
  std::optional<std::string> send;
  bool starts_tls = false;
  std::vector<ExpectLabel> labels;

  bool has_expect() const { return expect && !expect->empty(); }
  friend bool operator==(const QueryResponse&, const QueryResponse&) = default;
};

/// One look at a service from outside. What HttpOptions has of an address is made from the target.
struct ProbeConfig : http::HttpOptions, DnsOptions {
  std::string label;  // the key `name`; each is there once
  std::string job = "blackbox";
  ProbeModule module = ProbeModule::http;
  std::string target;                     // http: a URL; tcp: host:port; icmp, dns: a host
  std::chrono::milliseconds interval{0};  // 0: the agent's
  std::vector<metrics::Label> labels;
  http::IpFamily preferred_ip = http::IpFamily::any;
  // Of tcp.
  bool uses_tls = false;
  std::vector<QueryResponse> query_response;
  // Of http.
  std::string method = "GET";
  std::string body;
  std::vector<std::string> valid_status_codes;  // empty: 2xx
  bool fails_if_ssl = false;
  bool fails_if_not_ssl = false;
  std::vector<std::string> forbidden;  // expressions
  std::vector<std::string> required;
  std::uint64_t body_bytes_max = 8 << 20;
  friend bool operator==(const ProbeConfig&, const ProbeConfig&) = default;
};

/// Expressions for whole names of metrics.
struct MetricsConfig {
  std::vector<std::string> keep;  // empty: all
  std::vector<std::string> drop;
  friend bool operator==(const MetricsConfig&, const MetricsConfig&) = default;
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

/// Who may ask: a login, and what is known of those that have it.
struct ListenClient : http::HttpOptions {
  std::string label;  // the key `name`; empty: name() has another
  std::vector<metrics::Label>
      labels;  // of what it sends, in the place of its own; sorted, may be empty
  /// Of the client with that place in the list; no secret.
  std::string name(std::size_t place) const;
  friend bool operator==(const ListenClient&, const ListenClient&) = default;
};

/// What the agent answers itself.
struct ListenConfig {
  std::string address;   // as parse_listen_address() takes it; empty: it listens nowhere
  bool metrics = true;   // GET /metrics
  bool receive = false;  // remote write
  http::TlsOptions tls;  // without cert_file: none; ca_file is that of client certificates
  std::vector<ListenClient> clients;  // none: everybody may ask

  /// Other hosts can reach it, and need neither a login nor a certificate.
  bool is_open() const;
  friend bool operator==(const ListenConfig&, const ListenConfig&) = default;
};

/// Without an endpoint the agent only answers what it is asked (`listen`).
struct Config {
  std::string customer_id;  // empty only without an endpoint
  std::string server_name;
  std::string environment;  // empty: not set
  std::string host_name;    // the label instance
  std::vector<metrics::Label> labels;
  std::chrono::milliseconds interval{15'000};
  std::size_t series_max = metrics::kSeriesMaxDefault;  // of all collectors together
  std::chrono::milliseconds costly_interval{60'000};    // a multiple of `interval`
  Preset preset = Preset::standard;
  std::vector<std::string> collectors;  // those that run, in the registry's order
  std::vector<std::string> collectors_disabled;
  std::map<std::string, collectors::CollectorOptions> collector_options;  // by collector, on or off
  std::vector<EndpointConfig> endpoints;                                  // none only with `listen`
  std::vector<ScrapeConfig> scrape;
  std::vector<ProbeConfig> probes;
  MetricsConfig metrics;
  std::vector<metrics::RelabelRule> relabel;  // of every sample
  BufferConfig buffer;
  ListenConfig listen;
  LogLevel log_level = LogLevel::info;
  std::uint64_t hash = 0;  // of the file's text without its secrets, 48 bits; 0: it is no file

  /// What goes on every sample of the host beside its own labels.
  metrics::TargetLabels target_labels() const;

  /// The rules for what a source collects: `own`, if it has any, then `relabel` and `metrics`. Null
  /// where there are none.
  metrics::Relabel relabel_of(const std::vector<metrics::RelabelRule>& own = {}) const;
  /// The rules for what the agent says of a source, such as up: `relabel` alone.
  metrics::Relabel relabel_about() const;
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

/// More targets are refused: each takes a connection, and a place in the unit's memory.
inline constexpr std::size_t kTargetsMax = 200;

/// The same of probes.
inline constexpr std::size_t kProbesMax = 200;

/// Reads and validates `path`, and looks at who may read it and the files of secrets it names.
/// Expands ${NAME} and ${NAME:-default} in values from the environment. Never throws.
ConfigOutcome load_config(const std::string& path);

/// The same for text that is already in memory; `file` is what errors call it. Touches no file.
ConfigOutcome parse_config(const std::string& text, const std::string& file);

}  // namespace msp::config
