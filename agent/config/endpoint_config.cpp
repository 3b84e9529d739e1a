#include "agent/config/endpoint_config.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "agent/base/text.h"
#include "agent/config/url.h"
#include "agent/config/validators.h"

namespace msp {
namespace {

constexpr std::string_view kUrlAccepted =
    "an address such as https://monitor.example.com/api/v1/write";

class EndpointReader {
 public:
  EndpointReader(Section section, std::chrono::milliseconds interval, Diagnostics& findings,
                 std::vector<std::string>& inline_secrets)
      : section_(std::move(section)),
        interval_(interval),
        findings_(findings),
        inline_secrets_(inline_secrets) {}

  EndpointConfig read() {
    read_name();
    read_url();
    read_protocol();
    read_catch_up_rate();
    read_basic_auth();
    read_bearer();
    read_headers();
    read_tls();
    read_proxy_url();
    read_no_proxy();
    section_.read(
        "timeout",
        {kTimeoutLimits.min, kTimeoutLimits.max, "a duration from 100ms to 5m, such as 10s"},
        out_.timeout);
    const auto ms = interval_.count();
    const auto shown_interval = ms % 1000 == 0 ? cat(ms / 1000, "s") : cat(ms, "ms");
    const auto accepted =
        cat("a duration from the interval to 1h, such as 60s; interval is ", shown_interval);
    section_.read("send_every", {interval_, std::chrono::hours(1), accepted}, out_.send_every);
    section_.finish();
    return std::move(out_);
  }

 private:
  void read_name() {
    constexpr std::string_view kAccepted = "a name of up to 64 letters, digits, '.', '_' and '-'";
    const auto name = section_.text("name", kAccepted);
    if (!name) return;
    const bool is_good = !name->text.empty() && name->text.size() <= 64 &&
                         name->text.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                             std::string::npos;
    if (!is_good) return section_.reject("name", shown(name->text), kAccepted);
    out_.label = name->text;
  }

  void read_url() {
    const auto url = section_.text("url", kUrlAccepted);
    if (!url) {
      if (section_.present() && !section_.has("url"))
        section_.reject("url", "nothing", kUrlAccepted);
      return;
    }
    out_.url = url->text;
    if (url->text.empty()) {
      section_.reject("url", "nothing", kUrlAccepted);
    } else if (const auto checked = check_url(url->text, UrlUser::refused); !checked) {
      const bool hidden = url->text.find('@') != std::string::npos;
      const auto url_shown = hidden ? std::string("an address") : shown(out_.name());
      const std::string_view advice = hidden ? "; a user and password belong under basic_auth" : "";
      section_.reject("url", cat(url_shown, " with ", checked.error().text),
                      cat(kUrlAccepted, advice));
    }
  }

  void read_protocol() {
    // In the order of their enumerations.
    constexpr std::string_view kProtocols[] = {"auto", "prometheus-1.0", "prometheus-2.0",
                                               "victoriametrics"};
    constexpr std::string_view kOrders[] = {"auto", "fresh_first", "oldest_first"};
    if (const auto protocol = section_.choice("protocol", kProtocols)) {
      out_.protocol = static_cast<Protocol>(*protocol);
    }
    if (const auto order = section_.choice("order", kOrders)) {
      out_.order = static_cast<Order>(*order);
    }
  }

  void read_catch_up_rate() {
    constexpr std::string_view kAccepted = "samples per second from 100, or unlimited";
    const auto value = section_.text("catch_up_rate", kAccepted);
    if (!value) return;
    const auto rate = parse_number<std::uint64_t>(value->text);
    if (value->text == "unlimited") {
      out_.catch_up_rate = 0;
    } else if (rate && *rate >= 100) {
      out_.catch_up_rate = *rate;
    } else {
      section_.reject("catch_up_rate", shown(value->text), kAccepted);
    }
  }

  /// At most one of a secret and the file it is in.
  void read_secret(Section& section, std::string_view key, std::string_view file_key,
                   std::string& secret, std::string& file) {
    section.read_path(file_key, file);
    const auto value = section.text(key, "a single line of text");
    if (value && value->text.empty()) {
      section.reject(key, "nothing", "a single line of text");
    } else if (value) {
      secret = value->text;
      if (!value->from_environment) inline_secrets_.push_back(value->key);
    }
    if (section.has(key) && section.has(file_key)) {
      section.reject(file_key, cat(key, " as well"), "one of the two");
    }
  }

  void read_basic_auth() {
    auto section = section_.section("basic_auth");
    constexpr std::string_view kUserAccepted = "a user name without ':'";
    const auto username = section.text("username", kUserAccepted);
    if (username && username->text.empty()) {
      section.reject("username", "nothing", kUserAccepted);
    } else if (username && username->text.find(':') != std::string::npos) {
      section.reject("username", "a ':', behind which a password may stand (not shown)",
                     kUserAccepted);
    } else if (username) {
      out_.username = username->text;
    }
    read_secret(section, "password", "password_file", out_.password, out_.password_file);
    const bool has_password = section.has("password") || section.has("password_file");
    if (has_password && !section.has("username")) {
      section.reject("username", "nothing beside a password", kUserAccepted);
    } else if (section.has("username") && !has_password) {
      section.reject("password", "neither password nor password_file", "one of the two");
    }
    section.finish();
  }

  void read_bearer() {
    read_secret(section_, "bearer_token", "bearer_token_file", out_.bearer_token,
                out_.bearer_token_file);
    for (const std::string_view key : {"bearer_token", "bearer_token_file"}) {
      if (!section_.has(key) || !section_.has("basic_auth")) continue;
      section_.reject(key, "basic_auth as well", "one way to log in");
      return;
    }
  }

  void read_headers() {
    constexpr std::size_t kHeadersMax = 64;  // web servers take about a hundred
    if (!section_.has_at_most(kHeadersMax, "headers", "headers")) return;
    auto section = section_.section("headers");
    std::set<std::string> seen;
    for (auto& [name, at, value] : section.pairs("a single line of text")) {
      const auto key = section.path(printable(name));
      const auto lower = lower_case(name);
      if (!is_header_name(name)) {
        findings_.reject(at, key, "a name that no header can have",
                         "letters, digits and '-', such as X-Scope-OrgID");
      } else if (is_reserved_header(name)) {
        findings_.reject(at, key, "a header that the agent sets itself",
                         lower == "authorization" ? "basic_auth or bearer_token in its place"
                         : lower == "proxy-authorization" ? "user:password@ in proxy_url"
                                                          : "any other header");
      } else if (seen.contains(lower) && !out_.headers.contains(name)) {
        findings_.reject(at, key, "the same header in other letters", "each header once");
      } else if (value && value->text.empty()) {
        findings_.reject(value->at, key, "nothing", "a single line of text");
      } else if (value) {
        out_.headers.emplace(name, value->text);
        seen.insert(lower);
      }
    }
  }

  void read_tls() {
    auto section = section_.section("tls");
    section.read_path("ca_file", out_.tls.ca_file);
    section.read_path("cert_file", out_.tls.cert_file);
    section.read_path("key_file", out_.tls.key_file);
    if (section.has("cert_file") != section.has("key_file")) {
      const bool has_cert = section.has("cert_file");
      section.reject(has_cert ? "cert_file" : "key_file",
                     has_cert ? "no key_file beside it" : "no cert_file beside it", "both or none");
    }
    constexpr std::string_view kNameAccepted = "a host name";
    if (const auto name = section.text("server_name", kNameAccepted)) {
      out_.tls.server_name = name->text;
      if (!name->text.empty() && !is_tls_server_name(name->text)) {
        section.reject("server_name", shown(name->text), kNameAccepted);
      }
    }
    section.read("insecure_skip_verify", out_.tls.insecure_skip_verify);
    section.finish();
  }

  void read_proxy_url() {
    constexpr std::string_view kAccepted = "an address such as http://proxy.example.com:3128";
    const auto url = section_.text("proxy_url", kAccepted);
    if (!url || url->text.empty()) return;
    if (const auto checked = check_url(url->text, UrlUser::accepted); !checked) {
      section_.reject("proxy_url", cat("an address with ", checked.error().text), kAccepted);
      return;
    }
    out_.proxy_url = url->text;
    if (url->text.find('@') != std::string::npos && !url->from_environment) {
      inline_secrets_.push_back(url->key);
    }
  }

  void read_no_proxy() {
    constexpr std::string_view kAccepted =
        "a list of hosts, domains, addresses and networks, such as [internal.example.com, "
        "10.0.0.0/8], or ['*']";
    constexpr std::size_t kEntriesMax = 1000;
    if (!section_.has_at_most(kEntriesMax, "entries", "no_proxy")) return;
    const auto entries = section_.list("no_proxy", kAccepted);
    if (!entries) return;
    for (const auto& entry : *entries) {
      if (!is_proxy_exception(entry.text) && entry.text != "*") {
        findings_.reject(entry.at, entry.key, shown(entry.text), kAccepted);
      }
      out_.no_proxy += cat(out_.no_proxy.empty() ? "" : ",", entry.text);
    }
  }

  Section section_;
  const std::chrono::milliseconds interval_;
  Diagnostics& findings_;
  std::vector<std::string>& inline_secrets_;
  EndpointConfig out_;
};

}  // namespace

std::vector<EndpointConfig> read_endpoints(Section& top, std::chrono::milliseconds interval,
                                           Diagnostics& findings,
                                           std::vector<std::string>& inline_secrets) {
  constexpr std::string_view kAccepted = "a mapping with the key url, or a list of them";
  const auto* const node = top.node("remote_write");
  std::vector<EndpointConfig> endpoints;
  if (node == nullptr || (node->kind == Node::Kind::list && node->items.empty())) {
    top.reject("remote_write", "nothing", kAccepted);
    return endpoints;
  }
  if (node->kind == Node::Kind::scalar) {
    top.reject("remote_write", "a single value", kAccepted);
    return endpoints;
  }
  if (node->kind == Node::Kind::mapping) {
    Section section(node, "remote_write", findings);
    endpoints.push_back(
        EndpointReader(std::move(section), interval, findings, inline_secrets).read());
    return endpoints;
  }
  if (!top.has_at_most(kEndpointsMax, "endpoints", "remote_write")) return endpoints;
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const auto& item = *node->items[i];
    const auto path = cat("remote_write[", i, "]");
    if (item.kind == Node::Kind::empty) {
      findings.reject(node->at, path, "nothing", "a mapping with the key url");
      continue;
    }
    Section section(&item, path, findings);
    const auto url_at = section.at("url");
    const auto name_at = section.at("name");
    auto endpoint = EndpointReader(std::move(section), interval, findings, inline_secrets).read();
    const auto same =
        std::find_if(endpoints.begin(), endpoints.end(),
                     [&](const EndpointConfig& other) { return other.name() == endpoint.name(); });
    if (same != endpoints.end() && !endpoint.url.empty()) {
      findings.reject(url_at, cat(path, ".url"),
                      cat("the address of remote_write[", same - endpoints.begin(), "]"),
                      "addresses that differ before the '?'");
    }
    const auto namesake =
        std::find_if(endpoints.begin(), endpoints.end(),
                     [&](const EndpointConfig& other) { return other.label == endpoint.label; });
    if (namesake != endpoints.end() && !endpoint.label.empty()) {
      findings.reject(name_at, cat(path, ".name"),
                      cat("the name of remote_write[", namesake - endpoints.begin(), "]"),
                      "each name once");
    }
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

}  // namespace msp
