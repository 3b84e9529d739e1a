#include "agent/cli/endpoint_check.h"

#include <arpa/inet.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/delivery/client.h"
#include "agent/delivery/clock_skew.h"
#include "agent/delivery/splitter.h"
#include "agent/delivery/stats.h"
#include "agent/http/auth.h"
#include "agent/http/client.h"
#include "agent/http/url.h"

namespace msp::cli {
namespace {

constexpr std::int64_t kDaysLeftMin = 14;
constexpr std::int64_t kSecondsPerDay = 86'400;
constexpr std::size_t kResolvConfBytesMax = 64 * 1024;

/// One sample with the labels of all others of this host.
metrics::Scrape sample_of(const config::Config& config) {
  std::vector<metrics::Label> labels{{std::string(metrics::kMetricName), std::string(kCheck.name)}};
  const auto target = config.target_labels();
  labels.insert(labels.end(), target.forced.begin(), target.forced.end());
  labels.insert(labels.end(), target.defaults.begin(), target.defaults.end());
  auto series = std::make_shared<const metrics::Series>(
      metrics::Series{metrics::Labels(std::move(labels)), &kCheck});
  return {
      wall_ns() / kNsPerMs, std::make_shared<const metrics::SeriesSet>(1, std::move(series)), {1}};
}

EndpointAnswer write_sample(const config::EndpointConfig& endpoint, const config::Config& config) {
  EndpointAnswer result;
  // A client for each request, so that the last one tells of a connection of its own.
  const auto post = [&](std::string_view body, const std::vector<std::string>& headers) {
    result.trace = {};
    return http::HttpClient(endpoint).send({.method = "POST", .headers = headers, .body = body},
                                           &result.trace);
  };
  delivery::EndpointStats stats(endpoint.name());
  delivery::RemoteWriteClient client(endpoint.protocol, post, stats);
  delivery::Splitter shipment;
  shipment.batch().add(0, std::make_shared<const metrics::Scrape>(sample_of(config)));
  shipment.start();
  auto report = client.send_next(shipment);
  result.wall_s = wall_ns() / kNsPerSecond;
  result.answer = std::move(report.answer);
  result.accepted = report.delivered > 0;
  result.advice = report.advice;
  result.protocol = stats.protocol;
  result.is_clock_kept = delivery::is_clock_kept();
  return result;
}

bool is_address(std::string host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

/// Where both moments are known.
std::optional<std::int64_t> between(std::int64_t from_us, std::int64_t to_us) {
  return to_us > 0 && to_us >= from_us ? std::optional(to_us - from_us) : std::nullopt;
}

Step dns_step(const config::EndpointConfig& endpoint, const EndpointAnswer& answered,
              const std::string& name_servers) {
  const auto& trace = answered.trace;
  const auto asked =
      http::parse_url(trace.proxy.empty() ? endpoint.url : cat("http://", trace.proxy));
  Step step{.name = "dns", .took_us = trace.resolved_us};
  const auto servers = name_servers.empty()
                           ? std::string("/etc/resolv.conf names no name server")
                           : cat("name servers of /etc/resolv.conf: ", name_servers);
  if (trace.reached == http::Reached::nothing) {
    step.verdict = Verdict::failed;
    step.took_us = trace.total_us;
    step.text = cat(answered.answer.error, "; ", servers);
  } else if (is_address(asked.place.host)) {
    step.took_us.reset();
    step.text = cat(asked.place.host, " is an address: no name server is asked");
  } else {
    std::string addresses;
    for (const auto& address : trace.addresses) {
      addresses += cat(addresses.empty() ? "" : ", ", address.substr(0, address.rfind(':')));
    }
    step.text = cat(asked.place.host, " is ", addresses, " (", servers, ")");
    step.facts.emplace_back("addresses", addresses);
  }
  step.facts.emplace_back("name_servers", name_servers);
  return step;
}

Step tcp_step(const EndpointAnswer& answered) {
  const auto& trace = answered.trace;
  if (trace.reached == http::Reached::name) {
    return {.name = "tcp",
            .verdict = Verdict::failed,
            .text = answered.answer.error,
            .took_us = between(trace.resolved_us, trace.total_us)};
  }
  const auto connected_us =
      trace.connected_us == 0 && trace.proxy.empty() ? trace.tls_begun_us : trace.connected_us;
  const auto address = trace.addresses.empty() ? std::string() : trace.addresses.back();
  return {.name = "tcp",
          .text = cat("connected to ", trace.proxy.empty() ? "" : "the proxy ", address),
          .took_us = between(trace.resolved_us, connected_us),
          .facts = {{"address", address}}};
}

Step proxy_step(const EndpointAnswer& answered) {
  const auto& trace = answered.trace;
  if (trace.reached == http::Reached::connection && trace.proxy_status / 100 != 2) {
    return {.name = "proxy",
            .verdict = Verdict::failed,
            .text = answered.answer.error,
            .took_us = between(trace.resolved_us, trace.total_us)};
  }
  Step step{.name = "proxy", .text = cat("the proxy ", trace.proxy, " connects to the server")};
  if (trace.connected_us > 0) step.took_us = between(trace.connected_us, trace.tls_begun_us);
  return step;
}

/// Whether what failed behind the handshake is a matter of certificates: with TLS 1.3 a server
/// refuses the client's only then.
bool is_about_client_certificate(const http::HttpAnswer& answer) {
  return answer.status == 0 && answer.error.find("client certificate") != std::string::npos;
}

Step tls_step(const config::EndpointConfig& endpoint, const EndpointAnswer& answered) {
  const auto& trace = answered.trace;
  const auto& seen = trace.handshake;
  Step step{.name = "tls", .took_us = between(trace.tls_begun_us, trace.tls_us)};
  const auto days = (seen.not_after_s - answered.wall_s) / kSecondsPerDay;
  if (!seen.subject.empty()) {
    step.facts = {{"subject", seen.subject}, {"issuer", seen.issuer}, {"days_left", days}};
  }
  if (trace.reached != http::Reached::server || is_about_client_certificate(answered.answer)) {
    step.verdict = Verdict::failed;
    step.took_us = between(trace.tls_begun_us, trace.total_us);
    step.text = answered.answer.error;
    return step;
  }
  step.facts.emplace_back("version", seen.version);
  step.facts.emplace_back("cipher", seen.cipher);
  if (seen.chain_not_after_s != 0) {
    step.facts.emplace_back("chain_days_left",
                            (seen.chain_not_after_s - answered.wall_s) / kSecondsPerDay);
  }
  step.text = cat(seen.version, ", the certificate of ", seen.subject, ", issued by ", seen.issuer,
                  ", ", days, days == 1 ? " day left" : " days left");
  if (days < kDaysLeftMin) {
    step.verdict = Verdict::warning;
    step.text += ": renew it before it expires";
  }
  if (endpoint.tls.insecure_skip_verify) {
    step.verdict = Verdict::warning;
    step.text += "; it is not verified: tls.insecure_skip_verify is true";
  }
  return step;
}

std::string login_of(const config::EndpointConfig& endpoint) {
  std::string text;
  const auto add = [&](const std::string& part) { text += cat(text.empty() ? "" : ", ", part); };
  if (!endpoint.username.empty()) add(cat("basic_auth as ", endpoint.username));
  if (!endpoint.bearer_token.empty() || !endpoint.bearer_token_file.empty()) add("bearer_token");
  for (const auto& [name, value] : endpoint.headers) add(cat("the header ", name));
  if (!endpoint.tls.cert_file.empty()) add("a client certificate");
  return text;
}

/// What the endpoint was shown, where its answer may be about that. Some answer 400 to a bad login.
std::string shown_text(const EndpointAnswer& answered, const std::string& login) {
  const auto status = answered.answer.status;
  if (status != 400 && status != 401 && status != 403) return {};
  return cat("; the login was: ", login.empty() ? "none" : login);
}

std::string refusal_text(const EndpointAnswer& answered) {
  auto text = delivery::problem_text(answered.answer);
  auto advice =
      answered.advice.empty() ? delivery::rule_for(answered.answer.status).advice : answered.advice;
  const auto action = delivery::rule_for(answered.answer.status).action;
  if (advice.empty() && action == delivery::Action::refused) {
    advice =
        "it refuses a plain sample: check the path in url (VictoriaMetrics and Prometheus: "
        "/api/v1/write, Mimir: /api/v1/push), the login and protocol";
  } else if (advice.empty() && action == delivery::Action::try_again &&
             answered.answer.status != 0) {
    advice =
        "the server answers and takes nothing now; the agent keeps its samples and tries again";
  }
  return advice.empty() ? text : cat(text, "; ", advice);
}

Step clock_step(const EndpointAnswer& answered) {
  if (!answered.answer.date_s) {
    return {.name = "clock",
            .verdict = Verdict::note,
            .text = "the answer has no Date: the clocks cannot be compared"};
  }
  const auto ahead_s = answered.wall_s - *answered.answer.date_s;
  Step step{.name = "clock",
            .text = "this host's clock and the server's agree",
            .facts = {{"ahead_seconds", ahead_s}}};
  if (auto text =
          delivery::skew_text(answered.wall_s, *answered.answer.date_s, answered.is_clock_kept);
      !text.empty()) {
    step.verdict = Verdict::warning;
    step.text = std::move(text);
  }
  return step;
}

}  // namespace

std::string name_servers_of(std::string_view resolv_conf) {
  std::string servers;
  while (auto line = next_line(resolv_conf)) {
    if (next_word(*line) != "nameserver") continue;
    servers += cat(servers.empty() ? "" : ", ", next_word(*line));
  }
  return servers;
}

std::vector<Step> endpoint_steps(const config::EndpointConfig& endpoint,
                                 const EndpointAnswer& answered, const std::string& name_servers) {
  const auto& trace = answered.trace;
  const auto& answer = answered.answer;
  std::vector<Step> steps;
  const auto add = [&](Step step) {
    steps.push_back(std::move(step));
    return steps.back().verdict != Verdict::failed;
  };
  const bool is_tls = endpoint.url.starts_with("https:") || trace.handshake.begun_ns != 0;
  if (trace.total_us == 0) {  // nothing was tried: what it needs to be tried is not there
    add({.name = is_tls ? "tls" : "write", .verdict = Verdict::failed, .text = answer.error});
    return steps;
  }
  if (!add(dns_step(endpoint, answered, name_servers)) || !add(tcp_step(answered))) return steps;
  if (!trace.proxy.empty() && !add(proxy_step(answered))) return steps;
  if (is_tls && !add(tls_step(endpoint, answered))) return steps;

  const auto waited_us = between(std::max(trace.tls_us, trace.connected_us), trace.total_us);
  const auto login = login_of(endpoint);
  if (answer.status == 401 || answer.status == 403) {
    add({.name = "login",
         .verdict = Verdict::failed,
         .text = cat(refusal_text(answered), shown_text(answered, login)),
         .took_us = waited_us,
         .facts = {{"status", answer.status}}});
  } else {
    if (answered.accepted && !login.empty()) add({"login", Verdict::ok, login, {}});
    Step step{.name = "write",
              .text = cat(refusal_text(answered), shown_text(answered, login)),
              .took_us = waited_us};
    if (answer.status != 0) step.facts.emplace_back("status", answer.status);
    step.verdict = answered.accepted ? Verdict::ok : Verdict::failed;
    if (answered.accepted) {
      step.facts.emplace_back("protocol", answered.protocol);
      step.text =
          cat("HTTP ", answer.status, ": it took ", kCheck.name, " 1, in ", answered.protocol);
      if (const auto doubt = delivery::doubt_about(answer); !doubt.empty()) {
        step.verdict = Verdict::warning;
        step.text += cat("; ", doubt);
      }
    }
    if (answered.accepted && !answer.moved_to.empty()) {
      step.verdict = Verdict::warning;
      step.text += cat("; the request was redirected: set url to ", answer.moved_to);
    }
    add(std::move(step));
  }
  if (answer.status != 0) add(clock_step(answered));
  return steps;
}

void check_endpoint(const config::EndpointConfig& endpoint, const config::Config& config,
                    CheckReport& report) {
  report.begin_endpoint(endpoint.name());
  if (const auto login = http::log_in(endpoint); !login) {
    return report.add({"login", Verdict::failed, login.error().text, {}});
  }
  const auto resolv_conf = read_file("/etc/resolv.conf", kResolvConfBytesMax);
  const auto name_servers = name_servers_of(resolv_conf ? *resolv_conf : "");
  for (auto& step : endpoint_steps(endpoint, write_sample(endpoint, config), name_servers)) {
    report.add(std::move(step));
  }
}

}  // namespace msp::cli
