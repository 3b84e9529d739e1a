#include "agent/config/schema.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>

#include "agent/base/dns_names.h"
#include "agent/base/regex.h"
#include "agent/base/text.h"
#include "agent/config/probe_target.h"
#include "agent/config/quantity.h"
#include "agent/config/scrape_target.h"
#include "agent/config/section.h"
#include "agent/config/url.h"
#include "agent/config/validators.h"
#include "agent/listen/address.h"
#include "collectors/registry.h"

namespace msp::config {
namespace {

using namespace std::chrono_literals;
using namespace key_type;

// Rules about several keys, called by Section::read() behind them.

void at_most_one_of(Section& section, std::string_view key, std::string_view file_key) {
  if (section.has(key) && section.has(file_key)) {
    section.reject(file_key, cat(key, " as well"), "one of the two");
  }
}

template <typename Options>
void check_login(Section& section, Options& endpoint) {
  constexpr std::string_view kUserAccepted = "a user name without ':'";
  if (!endpoint.username.empty() && !is_user_name(endpoint.username)) {
    section.reject("username", "a ':', behind which a password may stand (not shown)",
                   kUserAccepted);
  }
  at_most_one_of(section, "password", "password_file");
  const bool has_password = section.has("password") || section.has("password_file");
  if (has_password && !section.has("username")) {
    section.reject("username", "nothing beside a password", kUserAccepted);
  } else if (section.has("username") && !has_password) {
    section.reject("password", "neither password nor password_file", "one of the two");
  }
}

void check_tls(Section& section, http::TlsOptions&) {
  const bool has_cert = section.has("cert_file");
  if (has_cert == section.has("key_file")) return;
  section.reject(has_cert ? "cert_file" : "key_file",
                 has_cert ? "no key_file beside it" : "no cert_file beside it", "both or none");
}

/// `allowed` are headers that the agent sets itself elsewhere, in small letters.
void read_headers_and(std::span<const std::string_view> allowed, Section& section,
                      std::map<std::string, std::string>& headers) {
  std::set<std::string> seen;
  for (auto& [name, at, value] : section.pairs("a single line of text")) {
    const auto key = section.path(printable(name));
    const auto lower = lower_case(name);
    if (!is_header_name(name)) {
      section.reject(at, section.path("(not shown)"), "a name that no header can have",
                     "letters, digits and '-', such as X-Scope-OrgID");
    } else if (is_reserved_header(name) && std::ranges::find(allowed, lower) == allowed.end()) {
      section.reject(at, key, "a header that the agent sets itself",
                     lower == "authorization"         ? "basic_auth or bearer_token in its place"
                     : lower == "proxy-authorization" ? "user:password@ in proxy_url"
                                                      : "any other header");
    } else if (seen.contains(lower) && !headers.contains(name)) {
      section.reject(at, key, "the same header in other letters", "each header once");
    } else if (value && value->text.empty()) {
      section.reject(value->at, key, "nothing", "a single line of text");
    } else if (value) {
      headers.emplace(name, value->text);
      seen.insert(lower);
    }
  }
}

void read_headers(Section& section, std::map<std::string, std::string>& headers) {
  read_headers_and({}, section, headers);
}

void read_probe_headers(Section& section, std::map<std::string, std::string>& headers) {
  constexpr std::string_view kAllowed[] = {"host", "content-type"};
  read_headers_and(kAllowed, section, headers);
}

/// A scrape or a probe has ended before the next one begins.
template <typename Target>
void check_timeout(Section& section, Target& target, const Config& config) {
  const auto interval = target.interval.count() > 0 ? target.interval : config.interval;
  if (!section.has("timeout")) {
    target.timeout = std::min(target.timeout, interval);
  } else if (target.timeout > interval) {
    section.reject("timeout", cat("'", duration_words(target.timeout), "'"),
                   cat("at most the interval, which is ", duration_words(interval)));
  }
}

void check_one_login(Section& section) {
  at_most_one_of(section, "bearer_token", "bearer_token_file");
  for (const std::string_view key : {"bearer_token", "bearer_token_file"}) {
    if (!section.has(key) || !section.has("basic_auth")) continue;
    section.reject(key, "basic_auth as well", "one way to log in");
    break;
  }
}

void check_relabel(Section& section, metrics::RelabelRule& rule) {
  if (!section.present()) return;
  if (const auto problem = metrics::check_rule(rule)) {
    section.reject(problem->key, problem->found, problem->accepted);
  }
}

void check_endpoint(Section& section, EndpointConfig& endpoint, Config& config) {
  check_one_login(section);
  if (endpoint.send_every.count() > 0 && endpoint.send_every < config.interval) {
    section.reject("send_every", cat("'", duration_words(endpoint.send_every), "'"),
                   cat(accepted_by(find_key("remote_write.send_every"), nullptr), "; interval is ",
                       duration_words(config.interval)));
  }
  for (std::size_t i = 0; i + 1 < config.endpoints.size(); ++i) {
    const auto& other = config.endpoints[i];
    if (!endpoint.url.empty() && other.name() == endpoint.name()) {
      section.reject("url", cat("the address of remote_write[", i, "]"),
                     "addresses that differ before the '?'");
    }
    if (!endpoint.label.empty() && other.label == endpoint.label) {
      section.reject("name", cat("the name of remote_write[", i, "]"), "each name once");
    }
  }
}

/// A label's name as near to `name` as there is one.
std::string label_like(std::string_view name) {
  std::string like = name.empty() ? "region" : printable(name);
  std::replace_if(
      like.begin(), like.end(),
      [](char c) {
        return !metrics::is_label_name({&c, 1}) && (c < '0' || c > '9');
      },
      '_');
  return metrics::is_label_name(like) && like != metrics::kMetricName ? like : cat("_", like);
}

/// `other_key`: where the label of a name is set instead; empty: here.
template <typename OtherKey>
void read_labels_but(Section& section, std::vector<metrics::Label>& labels,
                     const OtherKey& other_key, bool keeps_empty = false,
                     bool takes_identity = false) {
  for (auto& [name, at, value] : section.pairs("a single value")) {
    const auto key = section.path(printable(name));
    const std::string_view other = other_key(name);
    if (!metrics::is_label_name(name)) {
      section.reject(at, key, "a name that no label can have",
                     cat("letters, digits and '_', no digit first, such as ", label_like(name)));
    } else if (name == metrics::kMetricName ||
               (!takes_identity && std::ranges::find(metrics::kIdentityLabels, name) !=
                                       std::end(metrics::kIdentityLabels))) {
      section.reject(at, key, "a label that is always set by the agent",
                     name == metrics::kMetricName
                         ? std::string("any other name")
                         : cat("the key ", name, " at the top of the file"));
    } else if (!other.empty()) {
      section.reject(at, key, cat("the key ", other, " as well"), "one of the two");
    } else if (value && value->text.size() > kLabelValueBytesMax) {
      section.reject(value->at, key, cat(value->text.size(), " bytes"), "at most 1024 bytes");
    } else if (value && (keeps_empty || !value->text.empty())) {
      labels.push_back({name, value->text});
    }
  }
}

void read_labels(Section& section, std::vector<metrics::Label>& labels, Config& config) {
  read_labels_but(section, labels, [&](std::string_view name) {
    const bool is_set = name == "environment" && !config.environment.empty();
    return is_set ? "environment at the top of the file" : "";
  });
}

void read_job_labels(Section& section, std::vector<metrics::Label>& labels, ScrapeConfig&) {
  read_labels_but(
      section, labels,
      [](std::string_view name) { return name == "job" ? "job of the target" : ""; }, true);
}

void check_scrape(Section& section, ScrapeConfig& scrape, Config& config) {
  check_one_login(section);
  check_timeout(section, scrape, config);
  if (section.has("targets") && scrape.targets.empty()) {
    const auto* const list = section.node("targets");
    if (list->kind == Node::Kind::list && list->items.empty()) {
      section.reject("targets", "an empty list", kTargetAccepted);
    }
  }
}

constexpr std::string_view kModules[] = {"http", "tcp", "icmp", "dns"};
constexpr std::string_view kTargetsOfModules[] = {
    "a URL such as https://shop.example.com/", "host:port, such as db.example.com:5432",
    "a host, such as db.example.com or 192.0.2.7", "a name server, such as 192.0.2.53"};

/// Keys of probes that only one module knows.
struct KeyOfModule {
  std::string_view key;
  std::string_view module;
};
constexpr KeyOfModule kKeysOfModules[] = {
    {"query_response", "tcp"},
    {"method", "http"},
    {"body", "http"},
    {"valid_status_codes", "http"},
    {"headers", "http"},
    {"basic_auth", "http"},
    {"bearer_token", "http"},
    {"bearer_token_file", "http"},
    {"follow_redirects", "http"},
    {"fail_if_ssl", "http"},
    {"fail_if_not_ssl", "http"},
    {"fail_if_body_matches_regexp", "http"},
    {"fail_if_body_not_matches_regexp", "http"},
    {"body_max", "http"},
};

constexpr std::string_view kKeysOfDns[] = {
    "query_name",   "query_type",          "transport_protocol",     "recursion_desired",
    "valid_rcodes", "validate_answer_rrs", "validate_authority_rrs", "validate_additional_rrs"};
constexpr std::string_view kQueryNameAccepted = "a domain name, such as www.example.com";

bool is_dns_type(std::string_view word) {
  return dns_number(kDnsTypes, word).has_value();
}
bool is_dns_rcode(std::string_view word) {
  return dns_number(kDnsRcodes, word).has_value();
}

void read_probe_labels(Section& section, std::vector<metrics::Label>& labels, ProbeConfig&) {
  read_labels_but(
      section, labels,
      [](std::string_view name) { return name == "job" ? "job of the probe" : ""; }, true);
}

/// A step of query_response.
void check_step(Section& section, QueryResponse& step) {
  if (!section.present()) return;
  if (!step.has_expect()) {
    if (!step.labels.empty()) section.reject("labels", "no expect beside them", "both or none");
    if (step.starts_tls || (step.send && !step.send->empty())) return;
    return section.reject("expect", "nothing", "one of expect, send and starttls");
  }
  const auto regex = PartRegex::compile(*step.expect);
  if (!regex) {
    section.reject("expect",
                   cat(quoted(*step.expect, kQuotedBytesMax),
                       ", no regular expression: ", visible(regex.error().text)),
                   "an RE2 regular expression");
  }
}

bool is_expect_label(std::string_view name) {
  return metrics::is_label_name(name) && name != metrics::kMetricName &&
         std::ranges::find(metrics::kIdentityLabels, name) == std::end(metrics::kIdentityLabels);
}

void check_probe(Section& section, ProbeConfig& probe, Config& config) {
  check_one_login(section);
  check_timeout(section, probe, config);
  if (!probe.target.empty() && !is_probe_target(probe.target, probe.module)) {
    section.reject("target", "something else (not shown)",
                   kTargetsOfModules[static_cast<std::size_t>(probe.module)]);
  }
  const auto module = kModules[static_cast<std::size_t>(probe.module)];
  for (const auto& [key, of] : kKeysOfModules) {
    if (!section.has(key) || of == module) continue;
    section.reject(key, cat("a key of module ", of), cat("keys of module ", module));
  }
  if (probe.module == ProbeModule::dns && !section.has("query_name")) {
    section.reject("query_name", "nothing", kQueryNameAccepted);
  } else if (probe.module != ProbeModule::dns &&
             static_cast<const DnsOptions&>(probe) != DnsOptions{}) {
    for (const auto key : kKeysOfDns) {
      if (!section.has(key)) continue;
      section.reject(key, "a key of module dns", cat("keys of module ", module));
      break;
    }
  }
  if (probe.uses_tls && probe.module != ProbeModule::tcp) {
    section.reject("use_tls", "a key of module tcp",
                   probe.module == ProbeModule::http
                       ? std::string("a target that begins with https://")
                       : cat("keys of module ", module));
  }
  const bool has_tls = section.has("tls");
  const bool starts_tls = std::ranges::any_of(
      probe.query_response, [](const QueryResponse& step) { return step.starts_tls; });
  if (probe.uses_tls && starts_tls) {
    section.reject("use_tls", "a step with starttls as well", "one of the two");
  }
  if (has_tls && probe.module == ProbeModule::tcp && !probe.uses_tls && !starts_tls) {
    section.reject("tls", "neither use_tls: true nor a step with starttls", "one of the two");
  } else if (has_tls && probe.module != ProbeModule::tcp && probe.module != ProbeModule::http) {
    section.reject("tls", "a key of the modules http and tcp", cat("keys of module ", module));
  }
  for (std::size_t i = 0; i + 1 < config.probes.size(); ++i) {
    if (config.probes[i].label == probe.label && !probe.label.empty()) {
      section.reject("name", cat("the name of probes[", i, "]"), "each name once");
    }
  }
}

/// Two of the same labels would be one series.
void check_probes(Section& top, const Config& config) {
  std::set<std::string> seen;
  for (const auto& target : probe_targets(config)) {
    if (seen.emplace(metrics::Labels(target.labels.defaults).flat()).second) continue;
    return top.reject("probes",
                      cat("two probes with the same labels, the second one ",
                          quoted(target.probe->label, kQuotedBytesMax)),
                      "labels that differ: set job, or labels such as {check: login}");
  }
}

/// What is known only when all of the file is read.
void check_targets(Section& top, Config& config) {
  std::set<std::string> seen;
  std::size_t count = 0;
  for (const auto& target : scrape_targets(config)) {
    if (++count > kTargetsMax) {
      return top.reject("scrape", "more targets", cat("at most ", kTargetsMax));
    }
    const auto all = metrics::Labels(target.labels.defaults);
    if (seen.emplace(all.flat()).second) continue;
    return top.reject("scrape",
                      cat("two targets of job ", quoted(target.job, kQuotedBytesMax),
                          " with the same labels, the second one ", quoted(target.shown, 128)),
                      "labels that differ: set labels, such as {instance: ..}, for each of them");
  }
}

bool is_in_preset(const collectors::CollectorEntry& entry, Preset preset) {
  constexpr std::string_view kMinimal[] = {"cpu",     "diskstats", "filesystem", "loadavg",
                                           "meminfo", "netdev",    "stat"};
  if (preset == Preset::full) return true;
  if (preset == Preset::standard) return entry.default_on;
  return std::ranges::find(kMinimal, entry.name) != std::end(kMinimal);
}

/// Puts the collectors that run into the place of those that are enabled.
void check_collectors(Section& section, Config& config) {
  const auto* const enabled = section.node("enabled");
  const bool has_preset = section.has("preset");
  const auto has = [](const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> running;
  for (const auto& entry : collectors::collector_registry()) {
    const bool is_listed = enabled != nullptr && has(config.collectors, entry.name);
    const bool is_on =
        is_listed || ((enabled == nullptr || has_preset) && is_in_preset(entry, config.preset));
    if (is_on && !has(config.collectors_disabled, entry.name)) running.emplace_back(entry.name);
  }
  if (enabled != nullptr && enabled->kind == Node::Kind::list && enabled->items.empty()) {
    section.reject("enabled", "an empty list", "at least one of what 'msp-agent collectors' lists");
  } else if (running.empty() && (enabled == nullptr || !config.collectors.empty())) {
    section.reject("disabled", "every collector", "all but one, at most");
  }
  config.collectors = std::move(running);
  // A multiple, so that costly collectors need no wake-up of their own.
  const auto intervals = (config.costly_interval + config.interval - 1ms) / config.interval;
  config.costly_interval = config.interval * std::max<std::int64_t>(intervals, 1);
}

/// An absolute path without "//", "." and "..", and without a '/' at its end.
std::string plain_path(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto part = path.substr(0, std::min(path.find('/'), path.size()));
    path.remove_prefix(std::min(part.size() + 1, path.size()));
    if (part == ".." && !parts.empty()) parts.pop_back();
    if (!part.empty() && part != "." && part != "..") parts.push_back(part);
  }
  std::string plain;
  for (const auto part : parts) plain += cat("/", part);
  return plain.empty() ? "/" : plain;
}

/// Whether the path, however it is written, is a folder that belongs to the system, or is in one of
/// the kernel's file systems. A folder of one's own below the others is none.
bool is_system_folder(const std::string& path) {
  constexpr std::string_view kSystem[] = {
      "/",        "/bin",       "/boot",      "/dev",       "/dev/shm", "/etc",       "/home",
      "/lib",     "/lib32",     "/lib64",     "/libx32",    "/media",   "/opt",       "/proc",
      "/root",    "/run",       "/sbin",      "/sys",       "/tmp",     "/usr",       "/usr/bin",
      "/usr/lib", "/usr/local", "/usr/sbin",  "/usr/share", "/var",     "/var/cache", "/var/lib",
      "/var/log", "/var/run",   "/var/spool", "/var/tmp"};
  constexpr std::string_view kKernels[] = {"/proc/", "/sys/"};
  const auto plain = plain_path(path);
  return std::find(std::begin(kSystem), std::end(kSystem), plain) != std::end(kSystem) ||
         std::any_of(std::begin(kKernels), std::end(kKernels),
                     [&](std::string_view kernels) { return plain.starts_with(kernels); });
}

void check_buffer(Section& section, BufferConfig& buffer) {
  while (buffer.path.size() > 1 && buffer.path.ends_with('/')) buffer.path.pop_back();
  if (is_system_folder(buffer.path)) {
    section.reject("path", cat(shown(buffer.path), ", a folder of the system"),
                   "a folder of the agent's own, such as /var/lib/msp-agent/buffer");
  }
  const char* runtime = std::getenv("RUNTIME_DIRECTORY");
  const std::string_view folders = runtime != nullptr ? runtime : "";
  buffer.head_path = folders.empty() ? buffer.path : folders.substr(0, folders.find(':'));
}

void read_client_labels(Section& section, std::vector<metrics::Label>& labels, ListenClient&) {
  read_labels_but(
      section, labels, [](std::string_view) { return std::string_view(); }, true, true);
  std::ranges::sort(labels, {}, &metrics::Label::name);
}

void check_client(Section& section, ListenClient& client, ListenConfig& listen) {
  for (std::size_t i = 0; i + 1 < listen.clients.size(); ++i) {
    if (client.label.empty() || listen.clients[i].label != client.label) continue;
    section.reject("name", cat("the name of listen.clients[", i, "]"), "each name once");
  }
  check_one_login(section);
  if (!section.present() || section.has("basic_auth")) return;
  if (section.has("bearer_token") || section.has("bearer_token_file")) return;
  section.reject("bearer_token_file", "no way to log in",
                 "bearer_token_file, bearer_token or basic_auth");
}

void check_listen_tls(Section& section, http::TlsOptions& tls) {
  if (!section.present()) return;
  check_tls(section, tls);
  if (section.has("client_ca_file") && !section.has("cert_file")) {
    section.reject("client_ca_file", "no cert_file beside it", "cert_file and key_file as well");
  }
}

void check_listen(Section& section, ListenConfig& listen) {
  if (!section.present() || listen.metrics || listen.receive) return;
  section.reject("metrics", "false, and nothing else to answer", "true, or receive: true");
}

/// Without endpoints nothing is sent, and what would be sent is a mistake.
void check_listen_only(Section& top, const Config& config) {
  if (!top.has("listen") || !config.endpoints.empty()) {
    if (top.has("listen") && !top.has("customer_id")) {
      top.reject("customer_id", "nothing", accepted_by(find_key("customer_id"), nullptr));
    }
    return;
  }
  for (const std::string_view key : {"scrape", "probes"}) {
    if (!top.has(key)) continue;
    top.reject(key, "no remote_write beside it", "remote_write as well, for what is only sent");
  }
  if (config.listen.receive) {
    top.reject("listen", "receive: true, and no remote_write beside it",
               "remote_write as well, for what is received");
  }
}

void check_server(Section& top, Config& config) {
  struct utsname host {};
  if (::uname(&host) == 0) config.host_name = host.nodename;
  if (config.server_name.empty()) config.server_name = config.host_name;
  if (config.server_name.empty()) {
    top.reject("server_name", "nothing, and the host has no name", "1 to 255 bytes of text");
  }
  check_targets(top, config);
  check_probes(top, config);
  check_listen_only(top, config);
}

bool is_expression(std::string_view text) {
  return !text.empty() && WholeRegex::compile(text).has_value();
}

// The table.

constexpr std::size_t kRulesMax = 200;
constexpr Text kNameText{"1 to 255 bytes of text",
                         [](std::string_view text) { return text.size() <= kNameBytesMax; }, true};
constexpr Text kSecretText{"a single line of text"};
constexpr Path kFile{Path::To::file};
constexpr Path kSecretFile{Path::To::secret_file};

// In the order of their enumerations.
constexpr std::string_view kProtocols[] = {"auto", "prometheus-1.0", "prometheus-2.0",
                                           "victoriametrics"};
constexpr std::string_view kOrders[] = {"auto", "fresh_first", "oldest_first"};
constexpr std::string_view kPresets[] = {"minimal", "standard", "full"};
constexpr std::string_view kTransports[] = {"udp", "tcp"};
constexpr std::string_view kIpFamilies[] = {"any", "ip4", "ip6"};
constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};

template <auto Member>
consteval ConfigKey of_endpoint(std::string_view name, auto type, Help help) {
  return key<Member, EndpointConfig>(name, type, help);
}

// Of whatever is an HttpOptions.

template <typename Options>
constexpr ConfigKey kBasicAuth[] = {
    key<&http::HttpOptions::username, Options>(
        "username", Text{"a user name without ':'"},
        {"The user name, without `:`. Needs a password.", "alpha"})
        .hidden(),
    key<&http::HttpOptions::password, Options>("password", kSecretText,
                                               {"The password.", "${PASSWORD}"})
        .secret(),
    key<&http::HttpOptions::password_file, Options>(
        "password_file", kSecretFile,
        {"The file that contains the password.", "/etc/msp-agent.password"}),
};

template <typename Options>
constexpr auto kBearerToken = key<&http::HttpOptions::bearer_token, Options>(
                                  "bearer_token", kSecretText,
                                  {"A token, instead of `basic_auth`.", "${TOKEN}"})
                                  .secret();
template <typename Options>
constexpr auto kBearerTokenFile = key<&http::HttpOptions::bearer_token_file, Options>(
    "bearer_token_file", kSecretFile,
    {"The file that contains the token.", "/etc/msp-agent.token"});
template <typename Options>
constexpr auto kHeaders =
    key<&http::HttpOptions::headers, Options>(
        "headers",
        Mapping{
            "headers", 64,  // web servers take about a hundred
            std::is_same_v<Options, ProbeConfig> ? rule<read_probe_headers> : rule<read_headers>},
        {"Headers of every request, such as `{X-Scope-OrgID: alpha}`.", "{X-Scope-OrgID: alpha}"})
        .secret();

constexpr ConfigKey kRelabel[] = {
    key<&metrics::RelabelRule::action>(
        "action", Choice{metrics::kRelabelActions},
        {"What the rule does. `replace` writes a label. `keep` and `drop` decide about the series, "
         "`keepequal` and `dropequal` by comparing with target_label. `labelmap` copies labels to "
         "other names, `labeldrop` and `labelkeep` take labels away. `hashmod`, `lowercase` and "
         "`uppercase` write what they make of the source labels.",
         "drop"}),
    key<&metrics::RelabelRule::source_labels>(
        "source_labels",
        Texts{"a list of labels' names, such as [__name__]", metrics::kSourceLabelsMax,
              metrics::is_label_name},
        {"The labels whose values, joined, are compared with the expression. The metric's name is "
         "the label `__name__`.",
         "[__name__, device]"}),
    key<&metrics::RelabelRule::separator>(
        "separator", Verbatim{"a text"},
        {"What stands between two of these values.", "','", "`;`"}),
    key<&metrics::RelabelRule::regex>(
        "regex", Verbatim{"an RE2 regular expression"},
        {"The expression, which must match all of the value.", "'node_(cpu|memory)_.*'", "`(.*)`"}),
    key<&metrics::RelabelRule::target_label>(
        "target_label", Verbatim{"the name of a label"},
        {"The label that is written, or compared with.", "service"}),
    key<&metrics::RelabelRule::replacement>(
        "replacement", Verbatim{"a text"},
        {"The new value, with `$1` or `${1}` for a group of the expression. An empty one takes the "
         "label away.",
         "'${1}-db'", "`$1`"}),
    key<&metrics::RelabelRule::modulus>("modulus", Number{1, UINT64_MAX},
                                        {"What `hashmod` divides by.", "10", "none"}),
};

constexpr Texts kNames{"a list of RE2 regular expressions, such as ['go_.*']", 1000, is_expression,
                       true};
constexpr ConfigKey kMetrics[] = {
    key<&MetricsConfig::keep>(
        "keep", kNames,
        {"The only metrics that are sent, by expressions for their whole names.",
         "['node_.*', 'mysql_.*']"}),
    key<&MetricsConfig::drop>("drop", kNames,
                              {"Metrics that are not sent, also of those.", "['go_.*']"}),
};

constexpr ConfigKey kTls[] = {
    key<&http::TlsOptions::ca_file>(
        "ca_file", kFile, {"CA certificates, instead of the system's.", "/etc/msp-agent-ca.pem"}),
    key<&http::TlsOptions::cert_file>(
        "cert_file", kFile,
        {"The agent's own certificate. Needs `key_file`.", "/etc/msp-agent.pem"}),
    key<&http::TlsOptions::key_file>("key_file", kFile,
                                     {"The key of that certificate.", "/etc/msp-agent.key"}),
    key<&http::TlsOptions::server_name>(
        "server_name", Text{"a host name", is_tls_server_name, true},
        {"The name that the server's certificate must have, instead of the URL's host.",
         "monitor.example.com"}),
    key<&http::TlsOptions::insecure_skip_verify>(
        "insecure_skip_verify", Flag{}, {"`true` accepts any certificate of the server.", "true"}),
};

constexpr ConfigKey kEndpoint[] = {
    of_endpoint<&EndpointConfig::url>(
        "url", Address{"https://monitor.example.com/api/v1/write"},
        {"The remote write address of VictoriaMetrics, Mimir or Prometheus, such as "
         "https://monitor.example.com/api/v1/write.",
         "https://monitor.example.com/api/v1/write"})
        .required(),
    key<&EndpointConfig::label>(
        "name", Text{"a name of up to 64 letters, digits, '.', '_' and '-'", is_endpoint_name},
        {"The name of the endpoint's place in the buffer. With a name the url can change, and the "
         "samples that wait go to the new address. Without a name another url is a new endpoint, "
         "which gets what is collected from then on.\n"
         "Of the url only what is before its `?` counts. The customer_id and the value of a tenant "
         "header (X-Scope-OrgID, AccountID or ProjectID) belong to the place, too: a change of any "
         "of these, or a name that is added, makes a new endpoint.",
         "centre"}),
    key<&EndpointConfig::protocol>(
        "protocol", Choice{kProtocols},
        {"`auto` finds out what the endpoint understands, `victoriametrics` or `prometheus-1.0`. "
         "`victoriametrics` is remote write 1.0 compressed with zstd, `prometheus-1.0` the same "
         "with snappy, `prometheus-2.0` remote write 2.0 with metadata.",
         "prometheus-1.0"}),
    key<&EndpointConfig::order>(
        "order", Choice{kOrders},
        {"After an outage `fresh_first` sends each new scrape on time, and the kept samples beside "
         "it; `oldest_first` is for receivers that refuse samples out of order. `auto` follows the "
         "protocol, or finds out what the endpoint accepts.\n"
         "`auto` is `fresh_first` for the protocol victoriametrics, `oldest_first` for the "
         "prometheus protocols. For the protocol auto the agent finds out: an endpoint that "
         "accepts zstd accepts any order; another endpoint is tested with two samples of "
         "`msp_agent_probe`.",
         "oldest_first"}),
    key<&EndpointConfig::catch_up_rate>(
        "catch_up_rate", Rate{100},
        {"How fast kept samples are sent after an outage: at most so many per second, in parts "
         "between the live ones (docs/delivery.md); or `unlimited`.",
         "20000"}),
    group("basic_auth", {keys_of<kBasicAuth<EndpointConfig>>, rule<check_login<EndpointConfig>>},
          {"A user name and a password, if the endpoint needs them. Put a password or a token into "
           "a file that only the agent's user can read; or into the configuration, and let nobody "
           "else read that: `chmod o-r /etc/msp-agent.yaml`."}),
    kBearerToken<EndpointConfig>,
    kBearerTokenFile<EndpointConfig>,
    kHeaders<EndpointConfig>,
    of_endpoint<&EndpointConfig::tls>(
        "tls", Group{keys_of<kTls>, rule<check_tls>},
        {"Certificates and keys, if the system's certificates are not enough. Files are absolute "
         "paths."}),
    of_endpoint<&EndpointConfig::proxy_url>(
        "proxy_url", Address{"http://proxy.example.com:3128", true},
        {"The proxy, such as http://proxy.example.com:3128; it may contain `user:password@`. "
         "Variables of the environment, such as `http_proxy`, are ignored; `'${https_proxy:-}'` "
         "uses one of them.",
         "http://proxy.example.com:3128"}),
    of_endpoint<&EndpointConfig::no_proxy>(
        "no_proxy",
        Texts{"a list of hosts, domains, addresses and networks, such as [internal.example.com, "
              "10.0.0.0/8], or ['*']",
              1000, is_no_proxy_entry},
        {"What the agent reaches without the proxy: hosts, domains with their subdomains, "
         "addresses and networks, such as `[internal.example.com, 10.0.0.0/8]`; `['*']` means "
         "everything.",
         "[internal.example.com, 10.0.0.0/8]"})
        .hidden(),
    of_endpoint<&EndpointConfig::timeout>("timeout", Duration{100ms, 5min},
                                          {"How long one request may take.", "30s"}),
    key<&EndpointConfig::send_every>(
        "send_every", Duration{1s, 1h, "the interval to 1h", "60s"},
        {"How often a request is sent, with all scrapes since the one before. 60s takes fewer "
         "bytes, but samples arrive up to a minute late.\n"
         "With 60s and an interval of 15s each request has four samples of every series. Samples "
         "may wait a minute longer in memory before they go to disk.",
         "60s", "the interval"}),
    key<&EndpointConfig::relabel>(
        "relabel", Groups{"rules", kRulesMax, keys_of<kRelabel>, rule<check_relabel>},
        {"Rules for what is sent to this endpoint, with the keys of `relabel` below. They see what "
         "the other rules have left. What a relay has received goes on as it is."}),
};

constexpr ConfigKey kScrape[] = {
    key<&ScrapeConfig::job>("job", kNameText, {"The label `job` of its series.", "mysqld"})
        .required(),
    key<&ScrapeConfig::targets>(
        "targets", Texts{kTargetAccepted, kTargetsMax, is_scrape_target},
        {"Where metrics are exposed: URLs, `host:port` for `http://host:port/metrics`, or "
         "`unix:/path` for a socket. The label `instance` of a target on this host is the host's "
         "name, of another one `host:port`; several of this host have the port behind the name.",
         "['http://127.0.0.1:9104/metrics']"})
        .required()
        .secret(),
    key<&ScrapeConfig::interval>("interval", Duration{1s, 1h, {}, "30s"},
                                 {"How often they are scraped.", "30s", "the interval above"}),
    key<&ScrapeConfig::timeout, ScrapeConfig>(
        "timeout", Duration{100ms, 5min, {}, "10s"},
        {"How long one scrape may take.", "5s", "10s, or the interval if that is shorter"}),
    key<&ScrapeConfig::labels>(
        "labels", Mapping{"labels", 64, rule<read_job_labels>},
        {"Further labels of its series. An empty value takes a label at the top of the file away "
         "from them.",
         "{service: orders}"}),
    key<&ScrapeConfig::honor_labels>(
        "honor_labels", Flag{},
        {"`true` keeps the labels that a target exposes, customer_id and server_name too. "
         "Otherwise those that the agent sets itself become exported_*.",
         "true"}),
    key<&ScrapeConfig::honors_timestamps>(
        "honor_timestamps", Flag{},
        {"`true` keeps the timestamps that a target exposes, as for federation. Otherwise samples "
         "have the time of the scrape.\n"
         "As for Prometheus, series with timestamps get no stale marker when they end.",
         "true"}),
    key<&ScrapeConfig::normalizes>(
        "normalize", Flag{},
        {"`false` leaves the labels `le` and `quantile` as they are exposed. Otherwise `1` becomes "
         "`1.0`, as Prometheus 3 and Alloy do it.",
         "false"}),
    key<&ScrapeConfig::body_bytes_max>(
        "body_max", Size{1 << 10, 64 << 20},
        {"A longer text, packed or unpacked, fails the scrape.", "16MiB"}),
    key<&ScrapeConfig::series_max>("series_max", Number{1, metrics::kSeriesMaxEnd},
                                   {"More series of one target fail the scrape.", "50000"}),
    group("basic_auth", {keys_of<kBasicAuth<ScrapeConfig>>, rule<check_login<ScrapeConfig>>},
          {"A user name and a password, if the targets need them."}),
    kBearerToken<ScrapeConfig>,
    kBearerTokenFile<ScrapeConfig>,
    kHeaders<ScrapeConfig>,
    key<&ScrapeConfig::tls, ScrapeConfig>("tls", Group{keys_of<kTls>, rule<check_tls>},
                                          {"Certificates and keys for targets with https."}),
    key<&ScrapeConfig::relabel>(
        "relabel", Groups{"rules", kRulesMax, keys_of<kRelabel>, rule<check_relabel>},
        {"Rules for the series of these targets, with the keys of `relabel` below."}),
};

constexpr ConfigKey kRecords[] = {
    key<&DnsRecordRules::forbidden>(
        "fail_if_matches_regexp", kNames,
        {"Expressions; the probe fails if one matches a record.", "['192\\.0\\.2\\.66']"}),
    key<&DnsRecordRules::required>(
        "fail_if_not_matches_regexp", kNames,
        {"Expressions; the probe fails if one does not match a record, or there is none.",
         "['192\\.0\\.2\\.']"}),
    key<&DnsRecordRules::one_required>(
        "fail_if_none_matches_regexp", kNames,
        {"Expressions; the probe fails if no record matches one of them.", "['192\\.0\\.2\\.7$']"}),
};

constexpr ConfigKey kExpectLabel[] = {
    key<&ExpectLabel::name>(
        "name", Text{"a label's name other than customer_id and server_name", is_expect_label},
        {"The name.", "banner"})
        .required(),
    key<&ExpectLabel::value>("value", Verbatim{"a text"},
                             {"The value, with `$1` or `${1}` for a group of `expect`.", "$1"}),
};

constexpr ConfigKey kQueryResponse[] = {
    key<&QueryResponse::expect>(
        "expect", Verbatim{"an RE2 regular expression"},
        {"Lines of the server are read until this expression matches in one. If the connection "
         "ends before, the probe fails and `probe_failed_due_to_regex` is 1.",
         "'^220 '"}),
    key<&QueryResponse::send>(
        "send", Verbatim{"a text"},
        {"What is sent then, and a line feed behind it, with `$1` or `${1}` for "
         "a group of `expect`.",
         "\"EHLO probe\\r\""})
        .hidden(),
    key<&QueryResponse::starts_tls>("starttls", Flag{}, {"`true` begins TLS then.", "true"}),
    key<&QueryResponse::labels>(
        "labels", Groups{"labels", 64, keys_of<kExpectLabel>},
        {"Labels of `probe_expect_info`, which is there for the line that matched."}),
};

constexpr ConfigKey kProbe[] = {
    key<&ProbeConfig::label>(
        "name", Text{"a name of up to 64 letters, digits, '.', '_' and '-'", is_endpoint_name},
        {"The name of the probe in the log and in `status`; each name once.", "shop"})
        .required(),
    key<&ProbeConfig::module>("module", Choice{kModules},
                              {"What is done: an HTTP request, a TCP connection, an ICMP echo "
                               "request (a ping), or a question to a name server.",
                               "http"}),
    key<&ProbeConfig::target>("target", Text{"a URL, host:port or a host", is_probe_text},
                              {"Where to: a URL for `http`, `host:port` for `tcp`, a host for "
                               "`icmp`, a host or `host:port` for `dns`. It "
                               "is the label `instance`, without what follows a `?`.",
                               "https://shop.example.com/"})
        .required()
        .hidden(),
    key<&ProbeConfig::job>("job", kNameText, {"The label `job` of its series.", "shop"}),
    key<&ProbeConfig::interval>("interval", Duration{1s, 1h, {}, "60s"},
                                {"How often it is made.", "60s", "the interval above"}),
    key<&ProbeConfig::timeout, ProbeConfig>("timeout", Duration{100ms, 5min, {}, "10s"},
                                            {"How long it may take, redirects included.", "5s",
                                             "10s, or the interval if that is shorter"}),
    key<&ProbeConfig::labels>(
        "labels", Mapping{"labels", 64, rule<read_probe_labels>},
        {"Further labels of its series. An empty one takes a label of the agent away.",
         "{service: shop}"}),
    key<&ProbeConfig::preferred_ip>(
        "preferred_ip_protocol", Choice{kIpFamilies},
        {"`ip4` or `ip6` uses addresses of that kind, and of the other kind only if the name has "
         "none. `any` begins with ip6 and goes on to ip4 where nothing answers; `icmp` and `dns` "
         "use the first "
         "address only.",
         "ip4"}),
    key<&ProbeConfig::uses_tls>(
        "use_tls", Flag{}, {"For `tcp`: `true` makes a TLS handshake on the connection.", "true"}),
    key<&ProbeConfig::method>("method",
                              Text{"the method of a request, such as POST", is_header_name},
                              {"The method of the request.", "HEAD"}),
    key<&ProbeConfig::body>("body", Text{"a text"},
                            {"The body of the request, for a method such as POST.", "'{}'"})
        .hidden(),
    key<&ProbeConfig::valid_status_codes>(
        "valid_status_codes", Texts{"a list of codes from 100 to 599", 100, is_status_code},
        {"The status codes of an answer that is as it should be. None: 200 to 299.", "[200, 401]"}),
    key<&ProbeConfig::follow_redirects, ProbeConfig>(
        "follow_redirects", Flag{},
        {"`false` judges a redirect as the answer. Otherwise up to 10 are followed, to any host; "
         "credentials, headers and the client certificate stay at the target.",
         "false"}),
    key<&ProbeConfig::fails_if_ssl>(
        "fail_if_ssl", Flag{}, {"`true` fails the probe if the answer came over TLS.", "true"}),
    key<&ProbeConfig::fails_if_not_ssl>(
        "fail_if_not_ssl", Flag{},
        {"`true` fails the probe if the answer did not come over TLS.", "true"}),
    key<&ProbeConfig::forbidden>(
        "fail_if_body_matches_regexp", kNames,
        {"Expressions; the probe fails if one matches in the body.", "['[Ee]rror']"}),
    key<&ProbeConfig::required>(
        "fail_if_body_not_matches_regexp", kNames,
        {"Expressions; the probe fails if one matches nowhere in the body.", "['In stock']"}),
    key<&ProbeConfig::body_bytes_max>("body_max", Size{1 << 10, 16 << 20},
                                      {"A longer body fails the probe.", "1MiB"}),
    key<&DnsOptions::query_name, ProbeConfig>(
        "query_name", Text{kQueryNameAccepted, is_query_name, true},
        {"For `dns`: the name that is asked for; `dns` needs it.", "www.example.com"}),
    key<&DnsOptions::query_type, ProbeConfig>(
        "query_type", Text{"a type of records, such as A, AAAA, MX, SOA or ANY", is_dns_type},
        {"For `dns`: the type of records that is asked for.", "SOA"}),
    key<&DnsOptions::transport, ProbeConfig>("transport_protocol", Choice{kTransports},
                                             {"For `dns`: how it is asked.", "tcp"}),
    key<&DnsOptions::recursion_desired, ProbeConfig>(
        "recursion_desired", Flag{},
        {"For `dns`: `false` asks for what the server itself knows.", "false"}),
    key<&DnsOptions::valid_rcodes, ProbeConfig>(
        "valid_rcodes", Texts{"a list of codes, such as [NOERROR, NXDOMAIN]", 20, is_dns_rcode},
        {"For `dns`: the codes of an answer that is as it should be. None: NOERROR.",
         "[NOERROR, NXDOMAIN]"}),
    key<&DnsOptions::answer_rules, ProbeConfig>(
        "validate_answer_rrs", Group{keys_of<kRecords>},
        {"For `dns`: what the records of the answer section must be. A record is a text: name, "
         "TTL, class, type and data with tabs between them."}),
    key<&DnsOptions::authority_rules, ProbeConfig>(
        "validate_authority_rrs", Group{keys_of<kRecords>}, {"The same of the authority section."}),
    key<&DnsOptions::additional_rules, ProbeConfig>("validate_additional_rrs",
                                                    Group{keys_of<kRecords>},
                                                    {"The same of the additional section."}),
    group("basic_auth", {keys_of<kBasicAuth<ProbeConfig>>, rule<check_login<ProbeConfig>>},
          {"A user name and a password, if the target needs them."}),
    kBearerToken<ProbeConfig>,
    kBearerTokenFile<ProbeConfig>,
    kHeaders<ProbeConfig>,
    key<&ProbeConfig::tls, ProbeConfig>("tls", Group{keys_of<kTls>, rule<check_tls>},
                                        {"Certificates and keys for a target with TLS."}),
    key<&ProbeConfig::query_response>(
        "query_response", Groups{"steps", 100, keys_of<kQueryResponse>, rule<check_step>},
        {"For `tcp`: what is waited for and said on the connection, step by step, with the keys of "
         "blackbox_exporter: `expect`, `send`, `starttls`, `labels`.\n"
         "A step reads lines until the expression `expect` matches in one, sends `send` and a line "
         "feed, with `$1` or `${1}` for a group of `expect`, and begins TLS with `starttls: true`. "
         "`labels`, each with a `name` and a `value`, are those of `probe_expect_info`."}),
};

constexpr ConfigKey kBuffer[] = {
    key<&BufferConfig::path>(
        "path", Path{Path::To::folder},
        {"The folder for samples that could not be sent yet; an absolute path.\n"
         "The folder must be the agent's own: a folder of the system, such as `/`, `/var/lib` or "
         "`/tmp` itself, is refused.",
         "/data/msp-agent"}),
    key<&BufferConfig::bytes_max>(
        "max_size", Size{1ull << 20, 1ull << 40},
        {"If the buffer is larger, the oldest samples are dropped.", "1GiB"}),
    key<&BufferConfig::age_max>("max_age", Duration{1min, 365 * 24h},
                                {"Samples that are older are dropped.\n"
                                 "Age counts only when the clock has made no step for an hour.",
                                 "30d"}),
    key<&BufferConfig::free_bytes_min>(
        "min_free", Size{0},
        {"Space that the buffer leaves free on its file system: this, or 5 % of the file system if "
         "that is less. The oldest samples are dropped for it. With 0 the buffer may fill the "
         "disk.",
         "2GiB"}),
};

constexpr std::size_t kClientsMax = 64;
constexpr ConfigKey kClient[] = {
    key<&ListenClient::label>("name", kNameText,
                              {"What messages and `msp-agent status` call the client. Without it "
                               "that is the user name, or "
                               "the name of the token's file.",
                               "alpha"}),
    kBearerTokenFile<ListenClient>,
    kBearerToken<ListenClient>,
    group("basic_auth", {keys_of<kBasicAuth<ListenClient>>, rule<check_login<ListenClient>>},
          {"A user name and a password."}),
    key<&ListenClient::labels>(
        "labels", Mapping{"labels", 64, rule<read_client_labels>},
        {"Labels of every sample that this client sends, whatever it says: its own labels of these "
         "names are replaced. An empty value takes a label away.\n"
         "Only for `receive`. Set at least customer_id where clients are of several customers.",
         "{customer_id: alpha}"}),
};

constexpr ConfigKey kListenTls[] = {
    key<&http::TlsOptions::cert_file>(
        "cert_file", kFile,
        {"The agent's certificate, with those between it and the authority "
         "behind it. Needs `key_file`.",
         "/etc/msp-agent.pem"}),
    key<&http::TlsOptions::key_file>("key_file", kFile,
                                     {"The key of that certificate.", "/etc/msp-agent.key"}),
    key<&http::TlsOptions::ca_file>(
        "client_ca_file", kFile,
        {"An authority: a client needs a certificate that it has issued.",
         "/etc/msp-agent-ca.pem"}),
};

constexpr ConfigKey kListen[] = {
    key<&ListenConfig::address>(
        "address", Text{listen::kListenAccepted, listen::is_listen_address},
        {"Where: an IP address and a port, `:9100` for all addresses of the host, or `unix:/path` "
         "for a socket, which the agent's user and group can use.\n"
         "node_exporter's port is 9100. An address that other hosts can reach shows them what "
         "`/metrics` has.",
         "127.0.0.1:9100"})
        .required(),
    key<&ListenConfig::metrics>(
        "metrics", Flag{},
        {"`GET /metrics` is answered with the host's metrics, as node_exporter does it.", "true"}),
    key<&ListenConfig::receive>(
        "receive", Flag{},
        {"`true` takes what others send by remote write, at `/api/v1/write`, `/api/v1/push` and "
         "`/api/v1/metrics/write`, and sends it on to all of `remote_write`: a relay.\n"
         "It is sent on with its own labels, but for `clients.labels`: `labels`, `relabel` and "
         "`metrics` are for what the agent collects itself. Samples whose labels no receiver would "
         "take are left out, and counted.",
         "true"}),
    key<&ListenConfig::clients>(
        "clients", Groups{"clients", kClientsMax, keys_of<kClient>, rule<check_client>},
        {"Who may ask: a mapping, or a list of mappings, each with one login. Without clients "
         "everybody "
         "who reaches the port may.\n"
         "Files of secrets are read for every request: a changed file needs no restart."}),
    key<&ListenConfig::tls>("tls", Group{keys_of<kListenTls>, rule<check_listen_tls>},
                            {"A certificate: then TLS 1.2 and 1.3 are spoken, and nothing else. "
                             "Files are absolute paths; "
                             "one that has changed is in force for the next connection."}),
};

constexpr ConfigKey kLog[] = {
    key<&Config::log_level>("level", Choice{kLevels},
                            {"The lowest level that is logged.", "debug"}),
};

constexpr std::string_view kCollectorList = "msp-agent collectors";
constexpr ConfigKey kEnabled[] = {
    key<&Config::preset>(
        "preset", Choice{kPresets},
        {"Which collectors run: `minimal` (cpu, diskstats, filesystem, loadavg, meminfo, netdev, "
         "stat), `standard` (those that are on by default) or `full` (all).\n"
         "Samples are what a server costs at the centre: `msp-agent check` says how many a month "
         "this host sends. For the dashboard Node Exporter Full, `minimal` needs `uname` and "
         "`time` under `enabled`.",
         "minimal"}),
    key<&Config::collectors>(
        "enabled", Words{"collectors", kCollectorList, collectors::collector_names},
        {"With `preset`: collectors that run beside those of the preset. Without: the only ones "
         "that run. `msp-agent collectors` lists all of them.",
         "[cpu, filesystem, loadavg, meminfo]"}),
    key<&Config::collectors_disabled>(
        "disabled", Words{"collectors", kCollectorList, collectors::collector_names},
        {"Collectors that do not run, whatever `preset` and `enabled` say.", "[diskstats]"}),
    key<&Config::costly_interval>(
        "costly_interval", Duration{1s, 1h},
        {"How often those collectors run that may cost a host more than the others: they read "
         "what can be slow or much. It is rounded up to a multiple of `interval`.\n"
         "`docs/metrics.md` says which they are and why. An expression over their samples must "
         "look back for longer than this interval.",
         "5m"}),
};

std::span<const ConfigKey> options_of(std::string_view collector) {
  for (const auto& entry : collectors::collector_registry()) {
    if (entry.name == collector) return entry.options().keys();
  }
  return {};
}

/// Those above, and a mapping for each collector with options, whose file has the keys in it.
std::span<const ConfigKey> collectors_keys(std::string_view) {
  static const auto keys = [] {
    std::vector<ConfigKey> all(std::begin(kEnabled), std::end(kEnabled));
    for (const auto& entry : collectors::collector_registry()) {
      if (options_of(entry.name).empty()) continue;
      const auto values = [](void* config, std::string_view name) -> void* {
        const auto& options = static_cast<Config*>(config)->collector_options;
        const auto found = options.find(std::string(name));
        return found == options.end() ? nullptr : found->second.values();
      };
      all.push_back({entry.name, Group{options_of}, values});
    }
    return all;
  }();
  return keys;
}

constexpr ConfigKey kTop[] = {
    key<&Config::customer_id>(
        "customer_id", Text{kCustomerIdAccepted, is_customer_id},
        {"The customer that the server belongs to; a label of every sample.\n"
         "Give a new customer an id of a-z, 0-9 and '-'. Upper case and '_' are there for ids that "
         "exist; the agent warns, because `Alpha` and `alpha` are two customers.",
         "alpha"})
        .required("listen"),
    key<&Config::server_name>(
        "server_name", kNameText,
        {"The server's name; a label of every sample.", "web-01", "the host name"}),
    key<&Config::environment>(
        "environment", kNameText,
        {"The label environment of every sample, if it is set, such as production.", "production"}),
    key<&Config::labels>(
        "labels", Mapping{"labels", 64, rule<read_labels>},  // more than any receiver takes
        {"Further labels of every sample, such as `{csp: aws, region: ap-northeast-2}`. `job` and "
         "`instance` can be set here, too; their defaults are `node` and the host name.\n"
         "A name consists of letters, digits and `_`, and does not begin with a digit. A value has "
         "up to 1024 bytes; an empty value sets no label. Receivers limit the labels of a series, "
         "usually to 30 together with the agent's own and the metric's. The agent warns if there "
         "may be more, because VictoriaMetrics drops such labels silently.",
         "{csp: aws, region: ap-northeast-2}"}),
    key<&Config::interval>(
        "interval", Duration{1s, 1h},
        {"How often the collectors run, and how often samples are sent.", "30s"}),
    key<&Config::series_max>(
        "series_max", Number{1'000, metrics::kSeriesMaxEnd},
        {"The most series that all collectors may have together; a collector that would exceed it "
         "is left out as a whole. More than the default needs more memory than the unit's "
         "`MemoryMax=64M`.\n"
         "Of a collector that is left out `node_scrape_collector_success` is 0, and the log has a "
         "line; the others are not affected. If the memory limit of the agent's control group is "
         "too low for that many series, a lower limit is used, and the log says so at the start.",
         "50000"}),
    group("collectors", {collectors_keys, rule<check_collectors>},
          {"Which collectors run, and what they look at. Expressions are RE2 and match anywhere in "
           "the name, as node_exporter's do. Each *_exclude has an *_include, which is used "
           "instead of it; `''` excludes nothing."}),
    key<&Config::endpoints>(
        "remote_write",
        Groups{"endpoints", kEndpointsMax, keys_of<kEndpoint>, rule<check_endpoint>},
        {"Where samples are sent: one mapping, or a list of mappings, each of which begins with "
         "`- url:`. Each endpoint has its own place in the buffer.\n"
         "Set `basic_auth` or `bearer_token`, not both. The agent reads the files of secrets, and "
         "those under `tls`, for every request: a changed file needs no restart."})
        .required("listen"),
    key<&Config::buffer>(
        "buffer", Group{keys_of<kBuffer>, rule<check_buffer>},
        {"Samples that could not be sent yet. A day of outage is about 1.5 MB for a common server. "
         "A change of these keys needs a restart.\n"
         "Samples that are delivered soon never go to disk. During an outage a sample goes to disk "
         "after 5 seconds; otherwise after 5 seconds plus the longest `remote_write.send_every` of "
         "the endpoints, which counts as it was at the start of the agent."}),
    key<&Config::listen>(
        "listen", Group{keys_of<kListen>, rule<check_listen>},
        {"A port for a Prometheus that pulls, or for others that send. Without it the agent "
         "listens "
         "nowhere.\n"
         "With `listen` and without `remote_write` the agent is an exporter: it sends nothing, "
         "keeps "
         "nothing on disk, needs no customer_id, and reads the host when it is asked. [Being "
         "scraped](pull.md) shows how."}),
    group("log", {keys_of<kLog>}),
    key<&Config::scrape>(
        "scrape", Groups{"jobs", kTargetsMax, keys_of<kScrape>, rule<check_scrape>},
        {"Exporters whose metrics are sent as well: one mapping, or a list of mappings, each of "
         "which begins with `- job:`.\n"
         "Each target has up, scrape_duration_seconds, scrape_samples_scraped, "
         "scrape_samples_post_metric_relabeling and scrape_series_added. Credentials are sent to "
         "the target only, never to where it redirects. [Scraping](scraping.md) shows examples."}),
    key<&Config::probes>(
        "probes", Groups{"probes", kProbesMax, keys_of<kProbe>, rule<check_probe>},
        {"Services that are looked at from outside, as blackbox_exporter does: one mapping, or a "
         "list of mappings, each of which begins with `- name:`.\n"
         "Each probe has probe_success, probe_duration_seconds and the other metrics of "
         "blackbox_exporter's module. [Probes](probes.md) shows examples."}),
    key<&Config::metrics>("metrics", Group{keys_of<kMetrics>},
                          {"Metrics that are sent, by name. up, scrape_* and msp_agent_* always "
                           "are."}),
    key<&Config::relabel>(
        "relabel", Groups{"rules", kRulesMax, keys_of<kRelabel>, rule<check_relabel>},
        {"Rules for every sample, with the meaning of Prometheus' relabel_config. A rule is "
         "applied "
         "once, when a series is first seen.\n"
         "`${NAME}` is not replaced from the environment in regex, replacement, target_label and "
         "separator. No rule can write or take away customer_id and server_name."}),
};

// Reading the table.

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

template <typename Value>
const Value& stored(const void* field) {
  return *static_cast<const Value*>(field);
}

/// "1s to 1h", "from 100"
std::string range_words(std::string_view min, std::string_view max) {
  return max.empty() ? cat("from ", min) : cat(min, " to ", max);
}

/// "a duration from 1s to 1h, such as 15s"
std::string amount(std::string_view noun, std::string_view range, std::string_view such_as) {
  return cat(noun, range.starts_with("from ") ? " " : " from ", range, ", such as ", such_as);
}

void visit(std::span<const ConfigKey> keys, const std::string& above,
           const std::function<void(const ConfigKey&, const std::string&)>& visitor) {
  for (const auto& key : keys) {
    const auto path = above.empty() ? std::string(key.name) : cat(above, ".", key.name);
    visitor(key, path);
    if (const auto* group = std::get_if<Group>(&key.type)) {
      visit(group->keys(key.name), path, visitor);
    } else if (const auto* groups = std::get_if<Groups>(&key.type)) {
      visit(groups->keys(key.name), path, visitor);
    }
  }
}

void visit(std::span<const ConfigKey> keys, void* object, const std::string& above,
           const std::function<void(const ConfigKey&, const std::string&, const void*)>& visitor) {
  for (const auto& key : keys) {
    const auto path = above.empty() ? std::string(key.name) : cat(above, ".", key.name);
    void* const field = key.field(object, key.name);
    if (field == nullptr) continue;
    visitor(key, path, field);
    if (const auto* group = std::get_if<Group>(&key.type)) {
      visit(group->keys(key.name), field, path, visitor);
    } else if (const auto* groups = std::get_if<Groups>(&key.type)) {
      const bool is_one = groups->at(field, 1) == nullptr;
      for (std::size_t i = 0; void* const one = groups->at(field, i); ++i) {
        visit(groups->keys(key.name), one, is_one ? path : cat(path, "[", i, "]"), visitor);
      }
    }
  }
}

}  // namespace

const Group& config_schema() {
  static constexpr Group kSchema{keys_of<kTop>, rule<check_server>};
  return kSchema;
}

void visit_keys(const std::function<void(const ConfigKey&, const std::string&)>& visitor) {
  visit(kTop, "", visitor);
}

void visit_values(
    const Config& config,
    const std::function<void(const ConfigKey&, const std::string&, const void*)>& visitor) {
  visit(kTop, const_cast<Config*>(&config), "", visitor);  // the visitor gets them as constants
}

const ConfigKey& find_key(std::string_view path) {
  const ConfigKey* found = nullptr;
  visit_keys([&](const ConfigKey& key, const std::string& of_key) {
    if (of_key == path) found = &key;
  });
  if (found == nullptr) std::abort();
  return *found;
}

std::string one_of(std::span<const std::string_view> words) {
  std::string text;
  for (const auto word : words) text += cat(text.empty() ? "" : ", ", word);
  return text;
}

std::string range_of(const ConfigKey& key) {
  return std::visit(
      Overloaded{[](const Duration& type) {
                   return type.range.empty()
                              ? range_words(duration_words(type.min), duration_words(type.max))
                              : std::string(type.range);
                 },
                 [](const Size& type) {
                   return range_words(size_words(type.min),
                                      type.max == UINT64_MAX ? "" : size_words(type.max));
                 },
                 [](const Number& type) { return range_words(cat(type.min), cat(type.max)); },
                 [](const Rate& type) { return range_words(cat(type.min), ""); },
                 [](const auto&) { return std::string(); }},
      key.type);
}

std::string accepted_by(const ConfigKey& key, const void* field) {
  return std::visit(
      Overloaded{
          [](const Text& type) { return std::string(type.accepted); },
          [](const Address& type) { return cat("an address such as ", type.such_as); },
          [](const Verbatim& type) { return std::string(type.accepted); },
          [](const Path&) {
            return std::string("an absolute path, that is one that begins with '/'");
          },
          [&](const Duration& type) {
            return amount("a duration", range_of(key),
                          type.such_as.empty() ? value_of(key, field) : type.such_as);
          },
          [&](const Size&) { return amount("a size", range_of(key), value_of(key, field)); },
          [&](const Number&) { return amount("a number", range_of(key), value_of(key, field)); },
          [&](const Rate&) { return cat("samples per second ", range_of(key), ", or unlimited"); },
          [](const Flag&) { return std::string("false, true"); },
          [](const Choice& type) { return one_of(type.words); },
          [](const Regex&) {
            return std::string("an RE2 regular expression, such as '^(veth|docker)'");
          },
          [](const Words& type) {
            return type.listed_by.empty() ? one_of(type.words())
                                          : cat("what '", type.listed_by, "' lists");
          },
          [](const Texts& type) { return std::string(type.accepted); },
          [](const Mapping&) { return std::string(); }, [](const Group&) { return std::string(); },
          [&](const Groups& type) {
            const auto keys = type.keys(key.name);
            const auto required = std::find_if(
                keys.begin(), keys.end(), [](const ConfigKey& inner) { return inner.is_required; });
            if (required == keys.end()) return std::string("a mapping, or a list of them");
            return cat("a mapping with the key ", required->name, ", or a list of them");
          }},
      key.type);
}

std::string value_of(const ConfigKey& key, const void* field) {
  return std::visit(
      Overloaded{
          [&](const Text&) { return stored<std::string>(field); },
          [&](const Address&) { return stored<std::string>(field); },
          [&](const Path&) { return stored<std::string>(field); },
          [&](const Duration&) { return duration_words(stored<std::chrono::milliseconds>(field)); },
          [&](const Size&) { return size_words(stored<std::uint64_t>(field)); },
          [&](const Number&) { return cat(stored<std::uint64_t>(field)); },
          [&](const Rate&) {
            const auto rate = stored<std::uint64_t>(field);
            return rate == 0 ? std::string("unlimited") : cat(rate);
          },
          [&](const Flag&) { return std::string(stored<bool>(field) ? "true" : "false"); },
          [&](const Choice& type) {
            int choice = 0;
            std::memcpy(&choice, field, sizeof choice);
            return std::string(type.words[static_cast<std::size_t>(choice)]);
          },
          [](const Regex& type) { return std::string(type.by_default); },
          [](const auto&) { return std::string(); }},
      key.type);
}

Config default_config() {
  Config config;
  for (const auto& entry : collectors::collector_registry()) {
    if (auto options = entry.options(); !options.keys().empty()) {
      config.collector_options.emplace(entry.name, std::move(options));
    }
  }
  return config;
}

}  // namespace msp::config
