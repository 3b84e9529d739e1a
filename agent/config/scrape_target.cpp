#include "agent/config/scrape_target.h"

#include <algorithm>
#include <map>
#include <utility>

#include "agent/base/text.h"
#include "agent/config/url.h"
#include "agent/http/url.h"

namespace msp::config {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kMetricsPath = "/metrics";

struct Address {
  std::string url;
  std::string unix_socket;  // empty: none
  std::string instance;     // host:port, or the socket
  bool is_here = false;     // on this host
};

bool is_loopback(std::string_view host) {
  return host == "localhost" || host.starts_with("127.") || host == "[::1]";
}

Address address_of(std::string_view target) {
  if (target.starts_with(kUnix)) {
    target.remove_prefix(kUnix.size());
    const auto separator = target.find(":/");
    const auto path = separator == target.npos ? kMetricsPath : target.substr(separator + 1);
    const auto socket = target.substr(0, separator);
    return {cat("http://localhost", path), std::string(socket), cat(":", socket), true};
  }
  auto url = std::string(target);
  if (url.find("://") == url.npos) url.insert(0, "http://");
  const auto authority_end = url.find_first_of("/?#", url.find("://") + 3);
  if (authority_end == url.npos || url[authority_end] != '/') {
    url.insert(std::min(authority_end, url.size()), kMetricsPath);
  }
  const auto parsed = http::parse_url(url);
  return {url, {}, parsed.place.host + ":" + parsed.place.port, is_loopback(parsed.place.host)};
}

/// The labels that tell a target from others come first: the earlier of two with one name counts.
metrics::TargetLabels labels_of(const Config& config, const ScrapeConfig& scrape,
                                std::string instance) {
  auto labels = config.target_labels();
  std::vector<metrics::Label> own = {{"job", scrape.job}};
  for (const auto& label : scrape.labels) {
    if (!label.value.empty()) {
      own.push_back(label);
      continue;
    }
    std::erase_if(labels.defaults,
                  [&](const metrics::Label& other) { return other.name == label.name; });
  }
  own.push_back({"instance", std::move(instance)});
  labels.defaults.insert(labels.defaults.begin(), own.begin(), own.end());
  labels.own = scrape.honor_labels ? metrics::OwnLabel::wins : metrics::OwnLabel::is_renamed;
  return labels;
}

/// Of the host's own series.
std::string host_instance(const Config& config) {
  for (const auto& label : config.labels) {
    if (label.name == "instance") return label.value;
  }
  return config.host_name;
}

}  // namespace

bool is_scrape_target(std::string_view text) {
  if (text.starts_with(kUnix)) {
    return text.substr(kUnix.size()).starts_with('/') && text.find('@') == text.npos;
  }
  const auto url = address_of(text).url;
  return check_url(url, UrlUser::refused).has_value();
}

std::vector<ScrapeTarget> scrape_targets(const Config& config) {
  std::vector<ScrapeTarget> targets;
  std::map<std::string, int> names;
  for (const auto& scrape : config.scrape) {
    const auto here = std::count_if(scrape.targets.begin(), scrape.targets.end(),
                                    [](const auto& text) { return address_of(text).is_here; });
    for (const auto& text : scrape.targets) {
      const auto address = address_of(text);
      auto instance = address.instance;
      if (address.is_here) {
        const auto part = here > 1 ? address.instance.substr(address.instance.rfind(':')) : "";
        instance = host_instance(config) + part;
      }
      ScrapeTarget target{
          .scrape = &scrape,
          .job = scrape.job,
          .shown = text.substr(0, text.find('?')),
          .name = {},
          .http = scrape,
          .interval = scrape.interval.count() > 0 ? scrape.interval : config.interval,
          .labels = labels_of(config, scrape, std::move(instance))};
      target.name = cat(scrape.job, "/", target.shown);
      if (const auto count = ++names[target.name]; count > 1) target.name += cat("#", count);
      target.http.url = address.url;
      target.http.unix_socket = address.unix_socket;
      target.http.user_agent = "msp-agent/" MSP_AGENT_VERSION;
      targets.push_back(std::move(target));
    }
  }
  return targets;
}

}  // namespace msp::config
