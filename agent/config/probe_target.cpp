#include "agent/config/probe_target.h"

#include <arpa/inet.h>

#include <utility>

#include "agent/base/text.h"
#include "agent/config/url.h"
#include "agent/config/validators.h"
#include "agent/http/url.h"

namespace msp::config {
namespace {

std::string url_of(std::string_view target, bool with_tls) {
  if (target.find("://") != target.npos) return std::string(target);
  in6_addr address{};
  const bool is_ip6 = inet_pton(AF_INET6, std::string(target).c_str(), &address) == 1;
  return cat(with_tls ? "https://" : "http://", is_ip6 ? "[" : "", target, is_ip6 ? "]" : "");
}

/// Of "http://h:1" and "http://[::1]:1".
bool has_port(std::string_view url) {
  return !url.ends_with(']') && url.rfind(':') != url.find(':');
}

/// A Host of the user's own is also the name that the certificate must have, as for
/// blackbox_exporter.
void use_host_header(http::HttpOptions& http) {
  for (auto header = http.headers.begin(); header != http.headers.end(); ++header) {
    if (lower_case(header->first) != "host") continue;
    const auto host = header->second;
    http.headers.erase(header);
    http.headers.emplace("Host", host);
    if (http.tls.server_name.empty()) http.tls.server_name = host.substr(0, host.rfind(':'));
    return;
  }
}

metrics::TargetLabels labels_of(const Config& config, const ProbeConfig& probe) {
  auto labels = config.target_labels();
  // The earlier of two with one name counts.
  const auto rest = std::exchange(labels.defaults, {{"job", probe.job}});
  for (const auto& label : probe.labels) labels.defaults.push_back(label);
  labels.defaults.push_back({"instance", probe.target.substr(0, probe.target.find('?'))});
  for (const auto& label : rest) labels.defaults.push_back(label);
  // An empty one takes one of the configuration away.
  for (const auto& label : probe.labels) {
    if (!label.value.empty()) continue;
    std::erase_if(labels.defaults,
                  [&](const metrics::Label& other) { return other.name == label.name; });
  }
  return labels;
}

}  // namespace

bool is_probe_text(std::string_view text) {
  return !text.empty() && text.size() <= kLabelValueBytesMax &&
         check_url(url_of(text, false), UrlUser::refused).has_value();
}

bool is_probe_target(std::string_view text, ProbeModule module) {
  if (!is_probe_text(text)) return false;
  if (module == ProbeModule::http) return true;
  if (text.find_first_of("/?#") != text.npos) return false;
  if (module == ProbeModule::icmp) {
    return !has_port(url_of(text, false));
  }
  if (!has_port(url_of(text, false))) return module == ProbeModule::dns;
  const auto colon = text.rfind(':');
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  return port && *port != 0;
}

bool is_query_name(std::string_view text) {
  constexpr std::size_t kNameBytesMax = 253;
  constexpr std::size_t kLabelBytesMax = 63;
  if (text == ".") return true;
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kNameBytesMax) return false;
  std::size_t label_bytes = 0;
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '\\') return false;
    if (c == '.' && label_bytes == 0) return false;
    label_bytes = c == '.' ? 0 : label_bytes + 1;
    if (label_bytes > kLabelBytesMax) return false;
  }
  return label_bytes > 0;
}

bool is_status_code(std::string_view text) {
  const auto code = parse_number<unsigned>(text);
  return code && *code >= 100 && *code <= 599;
}

std::vector<ProbeTarget> probe_targets(const Config& config) {
  std::vector<ProbeTarget> targets;
  targets.reserve(config.probes.size());
  for (const auto& probe : config.probes) {
    auto& target = targets.emplace_back(ProbeTarget{&probe, {}, probe, {}, {}});
    target.name = cat("probe ", probe.label);
    target.interval = probe.interval.count() > 0 ? probe.interval : config.interval;
    target.labels = labels_of(config, probe);
    target.http.url = url_of(probe.target, probe.uses_tls);
    if (probe.module == ProbeModule::dns && !has_port(target.http.url)) target.http.url += ":53";
    target.http.user_agent = "msp-agent/" MSP_AGENT_VERSION;
    use_host_header(target.http);
  }
  return targets;
}

}  // namespace msp::config
