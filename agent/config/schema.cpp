#include "agent/config/schema.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>

#include "agent/base/text.h"
#include "agent/config/quantity.h"
#include "agent/config/section.h"
#include "agent/config/url.h"
#include "agent/config/validators.h"
#include "collectors/registry.h"

namespace msp {
namespace {

using namespace std::chrono_literals;
using namespace key_type;

// Rules about several keys, called by Section::read() behind them.

void at_most_one_of(Section& section, std::string_view key, std::string_view file_key) {
  if (section.has(key) && section.has(file_key)) {
    section.reject(file_key, cat(key, " as well"), "one of the two");
  }
}

void check_login(Section& section, EndpointConfig& endpoint) {
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

void check_tls(Section& section, TlsOptions&) {
  const bool has_cert = section.has("cert_file");
  if (has_cert == section.has("key_file")) return;
  section.reject(has_cert ? "cert_file" : "key_file",
                 has_cert ? "no key_file beside it" : "no cert_file beside it", "both or none");
}

void read_headers(Section& section, std::map<std::string, std::string>& headers) {
  std::set<std::string> seen;
  for (auto& [name, at, value] : section.pairs("a single line of text")) {
    const auto key = section.path(printable(name));
    const auto lower = lower_case(name);
    if (!is_header_name(name)) {
      section.reject(at, section.path("(not shown)"), "a name that no header can have",
                     "letters, digits and '-', such as X-Scope-OrgID");
    } else if (is_reserved_header(name)) {
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

void check_endpoint(Section& section, EndpointConfig& endpoint, Config& config) {
  at_most_one_of(section, "bearer_token", "bearer_token_file");
  for (const std::string_view key : {"bearer_token", "bearer_token_file"}) {
    if (!section.has(key) || !section.has("basic_auth")) continue;
    section.reject(key, "basic_auth as well", "one way to log in");
    break;
  }
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
        return !is_label_name({&c, 1}) && (c < '0' || c > '9');
      },
      '_');
  return is_label_name(like) && like != kMetricName ? like : cat("_", like);
}

void read_labels(Section& section, std::vector<Label>& labels, Config& config) {
  for (auto& [name, at, value] : section.pairs("a single value")) {
    const auto key = section.path(printable(name));
    if (!is_label_name(name)) {
      section.reject(at, key, "a name that no label can have",
                     cat("letters, digits and '_', no digit first, such as ", label_like(name)));
    } else if (name == kMetricName || name == "customer_id" || name == "server_name") {
      section.reject(at, key, "a label that is always set by the agent",
                     name == kMetricName ? std::string("any other name")
                                         : cat("the key ", name, " at the top of the file"));
    } else if (name == "environment" && !config.environment.empty()) {
      section.reject(at, key, "the key environment at the top of the file as well",
                     "one of the two");
    } else if (value && value->text.size() > kLabelValueBytesMax) {
      section.reject(value->at, key, cat(value->text.size(), " bytes"), "at most 1024 bytes");
    } else if (value && !value->text.empty()) {
      labels.push_back({name, value->text});
    }
  }
}

/// Puts the collectors that run into the place of those that are enabled.
void check_collectors(Section& section, Config& config) {
  const auto* const enabled = section.node("enabled");
  const auto has = [](const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> running;
  for (const auto& entry : collector_registry()) {
    const bool is_on = enabled != nullptr ? has(config.collectors, entry.name) : entry.default_on;
    if (is_on && !has(config.collectors_disabled, entry.name)) running.emplace_back(entry.name);
  }
  if (enabled != nullptr && enabled->kind == Node::Kind::list && enabled->items.empty()) {
    section.reject("enabled", "an empty list", "at least one of what 'msp-agent collectors' lists");
  } else if (running.empty() && (enabled == nullptr || !config.collectors.empty())) {
    section.reject("disabled", "every collector", "all but one, at most");
  }
  config.collectors = std::move(running);
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

void check_server(Section& top, Config& config) {
  struct utsname host {};
  if (::uname(&host) == 0) config.host_name = host.nodename;
  if (config.server_name.empty()) config.server_name = config.host_name;
  if (config.server_name.empty()) {
    top.reject("server_name", "nothing, and the host has no name", "1 to 255 bytes of text");
  }
}

// The table.

constexpr Text kNameText{"1 to 255 bytes of text",
                         [](std::string_view text) { return text.size() <= kNameBytesMax; }, true};
constexpr Text kSecretText{"a single line of text"};
constexpr Path kFile{Path::To::file};
constexpr Path kSecretFile{Path::To::secret_file};

// In the order of their enumerations.
constexpr std::string_view kProtocols[] = {"auto", "prometheus-1.0", "prometheus-2.0",
                                           "victoriametrics"};
constexpr std::string_view kOrders[] = {"auto", "fresh_first", "oldest_first"};
constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};

template <auto Member>
consteval ConfigKey of_endpoint(std::string_view name, auto type, Help help) {
  return key<Member, EndpointConfig>(name, type, help);
}

constexpr ConfigKey kBasicAuth[] = {
    of_endpoint<&EndpointConfig::username>(
        "username", Text{"a user name without ':'"},
        {"The user name, without `:`. Needs a password.", "alpha"})
        .hidden(),
    of_endpoint<&EndpointConfig::password>("password", kSecretText,
                                           {"The password.", "${PASSWORD}"})
        .secret(),
    of_endpoint<&EndpointConfig::password_file>(
        "password_file", kSecretFile,
        {"The file that contains the password.", "/etc/msp-agent.password"}),
};

constexpr ConfigKey kTls[] = {
    key<&TlsOptions::ca_file>(
        "ca_file", kFile, {"CA certificates, instead of the system's.", "/etc/msp-agent-ca.pem"}),
    key<&TlsOptions::cert_file>(
        "cert_file", kFile,
        {"The agent's own certificate. Needs `key_file`.", "/etc/msp-agent.pem"}),
    key<&TlsOptions::key_file>("key_file", kFile,
                               {"The key of that certificate.", "/etc/msp-agent.key"}),
    key<&TlsOptions::server_name>(
        "server_name", Text{"a host name", is_tls_server_name, true},
        {"The name that the server's certificate must have, instead of the URL's host.",
         "monitor.example.com"}),
    key<&TlsOptions::insecure_skip_verify>(
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
        {"How fast kept samples are sent after an outage: samples per second, or `unlimited`.",
         "20000"}),
    group("basic_auth", {keys_of<kBasicAuth>, rule<check_login>},
          {"A user name and a password, if the endpoint needs them. Put a password or a token into "
           "a file that only the agent's user can read; or into the configuration, and let nobody "
           "else read that: `chmod o-r /etc/msp-agent.yaml`."}),
    of_endpoint<&EndpointConfig::bearer_token>("bearer_token", kSecretText,
                                               {"A token, instead of `basic_auth`.", "${TOKEN}"})
        .secret(),
    of_endpoint<&EndpointConfig::bearer_token_file>(
        "bearer_token_file", kSecretFile,
        {"The file that contains the token.", "/etc/msp-agent.token"}),
    of_endpoint<&EndpointConfig::headers>(
        "headers", Mapping{"headers", 64, rule<read_headers>},  // web servers take about a hundred
        {"Headers of every request, such as `{X-Scope-OrgID: alpha}`.", "{X-Scope-OrgID: alpha}"})
        .secret(),
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

constexpr ConfigKey kLog[] = {
    key<&Config::log_level>("level", Choice{kLevels},
                            {"The lowest level that is logged.", "debug"}),
};

constexpr std::string_view kCollectorList = "msp-agent collectors";
constexpr ConfigKey kEnabled[] = {
    key<&Config::collectors>(
        "enabled", Words{"collectors", kCollectorList, collector_names},
        {"The collectors that run, instead of the default ones. `msp-agent collectors` lists all "
         "of them.",
         "[cpu, filesystem, loadavg, meminfo]"}),
    key<&Config::collectors_disabled>(
        "disabled", Words{"collectors", kCollectorList, collector_names},
        {"Collectors that do not run: shorter than a list of all others.", "[diskstats]"}),
};

std::span<const ConfigKey> options_of(std::string_view collector) {
  for (const auto& entry : collector_registry()) {
    if (entry.name == collector) return entry.options().keys();
  }
  return {};
}

/// Those above, and a mapping for each collector with options, whose file has the keys in it.
std::span<const ConfigKey> collectors_keys(std::string_view) {
  static const auto keys = [] {
    std::vector<ConfigKey> all(std::begin(kEnabled), std::end(kEnabled));
    for (const auto& entry : collector_registry()) {
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
        "customer_id",
        Text{"1 to 63 characters a-z, 0-9 and '-', the first and last not '-', such as "
             "customer_id: alpha",
             is_customer_id},
        {"The customer that the server belongs to; a label of every sample.", "alpha"})
        .required(),
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
        "series_max", Number{1'000, kSeriesMaxEnd},
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
        .required(),
    key<&Config::buffer>(
        "buffer", Group{keys_of<kBuffer>, rule<check_buffer>},
        {"Samples that could not be sent yet. A day of outage is about 1.5 MB for a common server. "
         "A change of these keys needs a restart.\n"
         "Samples that are delivered soon never go to disk. During an outage a sample goes to disk "
         "after 5 seconds; otherwise after 5 seconds plus the longest `remote_write.send_every` of "
         "the endpoints, which counts as it was at the start of the agent."}),
    group("log", {keys_of<kLog>}),
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
  for (const auto& entry : collector_registry()) {
    if (auto options = entry.options(); !options.keys().empty()) {
      config.collector_options.emplace(entry.name, std::move(options));
    }
  }
  return config;
}

}  // namespace msp
