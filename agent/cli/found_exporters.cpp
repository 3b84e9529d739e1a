#include "agent/cli/found_exporters.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/base/wakeup.h"
#include "agent/config/scrape_target.h"
#include "agent/http/transfers.h"
#include "agent/http/url.h"
#include "agent/metrics/exposition_parser.h"
#include "agent/sources/exporter.h"

namespace msp::cli {
namespace {

struct KnownExporter {
  std::uint16_t port;
  std::string_view job;
};

// https://github.com/prometheus/prometheus/wiki/Default-port-allocations, and what has its metrics built
// in; in the order of the ports.
constexpr KnownExporter kKnown[] = {
    {2019, "caddy"},         {8080, "cadvisor"},     {8404, "haproxy"},   {9090, "prometheus"},
    {9091, "pushgateway"},   {9093, "alertmanager"}, {9100, "node"},      {9101, "haproxy"},
    {9102, "statsd"},        {9104, "mysqld"},       {9107, "consul"},    {9113, "nginx"},
    {9114, "elasticsearch"}, {9115, "blackbox"},     {9116, "snmp"},      {9117, "apache"},
    {9119, "bind"},          {9121, "redis"},        {9127, "pgbouncer"}, {9150, "memcached"},
    {9153, "coredns"},       {9154, "postfix"},      {9177, "libvirt"},   {9187, "postgres"},
    {9216, "mongodb"},       {9253, "php-fpm"},      {9256, "process"},   {9308, "kafka"},
    {9323, "docker"},        {9400, "dcgm"},         {9633, "smartctl"},  {15692, "rabbitmq"},
};
constexpr std::uint16_t kNodeExporter = 9100;

constexpr std::int64_t kDeadlineNs = 2 * kNsPerSecond;
constexpr std::size_t kAnswerBytesMax = 4 << 20;
constexpr std::size_t kTableBytesMax = 16 << 20;

std::string address_of(std::uint16_t port) {
  return cat("127.0.0.1:", port);
}

/// Whether the answer is one of an exporter. What is larger than we read is one if it is none for people.
bool is_exposition(const http::HttpAnswer& answer, const http::HttpOptions& options) {
  if (answer.is_too_long) return !answer.is_html;
  if (answer.status != 200) return false;
  metrics::ExpositionParser parser(answer.content,
                                   sources::exposition_options(answer, options, true));
  while (parser.next()) {
    if (const auto series = parser.series(); !series) parser.reject(series.error().text);
  }
  return parser.good_lines() > 0 && parser.bad_lines() == 0;
}

bool is_scraped(const std::vector<config::ScrapeTarget>& targets, const config::Config& config,
                std::uint16_t port) {
  return std::any_of(targets.begin(), targets.end(), [&](const config::ScrapeTarget& target) {
    const auto place = http::parse_url(target.http.url).place;
    const bool is_here = place.host == "localhost" || place.host == "[::1]" ||
                         place.host == "0.0.0.0" || place.host.starts_with("127.") ||
                         place.host == config.host_name;
    return target.http.unix_socket.empty() && is_here && place.port == cat(port);
  });
}

Step step_of(const FoundExporter& exporter, bool is_scraped) {
  Step step{.name = "exporter",
            .verdict = Verdict::note,
            .text = cat(exporter.job, " answers at ", address_of(exporter.port)),
            .facts = {{"job", std::string(exporter.job)},
                      {"port", std::int64_t{exporter.port}},
                      {"to_world", std::int64_t{exporter.to_world}}}};
  if (exporter.is_replaced) {
    step.text += ": the collectors of the agent send the same; stop node_exporter";
  } else if (!is_scraped) {
    step.text += ", and is not scraped";
  }
  if (exporter.to_world) {
    step.verdict = Verdict::warning;
    step.text += cat("; it listens at every address of this host: let it listen at ",
                     address_of(exporter.port), " only");
  }
  return step;
}

}  // namespace

std::vector<ListeningPort> listening_ports(std::string_view text) {
  constexpr std::string_view kListen = "0A";
  constexpr std::string_view kLoopback =
      "7F";  // the last two digits of 127.x.x.x, which is reversed
  constexpr std::string_view kMapped = "0000000000000000FFFF0000";
  std::vector<ListeningPort> ports;
  while (auto line = next_line(text)) {
    next_word(*line);
    const auto local = next_word(*line);
    next_word(*line);
    const auto colon = local.find(':');
    if (next_word(*line) != kListen || colon == local.npos) continue;
    auto address = local.substr(0, colon);
    const auto port = parse_number<std::uint16_t>(local.substr(colon + 1), 16);
    if (!port || (address.size() != 8 && address.size() != 32)) continue;
    if (address.starts_with(kMapped)) address.remove_prefix(kMapped.size());
    ListeningPort found{.port = *port};
    found.to_world = address.find_first_not_of('0') == address.npos;
    found.on_loopback = found.to_world || (address.size() == 8 && address.ends_with(kLoopback));
    ports.push_back(found);
  }
  return ports;
}

std::vector<FoundExporter> find_exporters(const collectors::HostPaths& paths) {
  std::vector<ListeningPort> ports;
  for (const auto* const table : {"/net/tcp", "/net/tcp6"}) {
    const auto text = read_file(paths.procfs + table, kTableBytesMax);
    if (!text) continue;  // a kernel without IPv6
    for (const auto& port : listening_ports(*text)) ports.push_back(port);
  }
  const auto wakeup = std::make_shared<Wakeup>();
  http::Transfers transfers({.wakeup = wakeup});
  const auto deadline_ns = monotonic_ns() + kDeadlineNs;
  http::HttpOptions options;
  options.user_agent = "msp-agent/" MSP_AGENT_VERSION;
  options.timeout = std::chrono::milliseconds(kDeadlineNs / kNsPerMs);
  options.follow_redirects = false;
  auto request = sources::scrape_request(options.timeout, kAnswerBytesMax);
  struct Question {
    std::unique_ptr<http::Transfers::Peer> peer;  // null: not asked, or answered
    bool to_world = false;
    bool is_exporter = false;
  };
  Question questions[std::size(kKnown)];
  std::size_t left = 0;
  for (std::size_t i = 0; i < std::size(kKnown); ++i) {
    bool can_be_asked = false;
    for (const auto& port : ports) {
      if (port.port != kKnown[i].port || !port.on_loopback) continue;
      can_be_asked = true;
      questions[i].to_world |= port.to_world;
    }
    if (!can_be_asked) continue;
    options.url = cat("http://", address_of(kKnown[i].port), "/metrics");
    auto peer = transfers.peer(options);
    if (!peer->start(request)) continue;
    questions[i].peer = std::move(peer);
    ++left;
  }
  while (left > 0 && monotonic_ns() < deadline_ns) {
    for (auto& [peer, to_world, is_exporter] : questions) {
      if (!peer || peer->is_running()) continue;
      const auto outcome = peer->take();
      is_exporter = outcome && is_exposition(outcome->answer, options);
      peer.reset();
      --left;
    }
    if (left > 0) wakeup->wait(std::max<std::int64_t>(deadline_ns - monotonic_ns(), 0));
  }
  std::vector<FoundExporter> found;
  for (std::size_t i = 0; i < std::size(kKnown); ++i) {
    const auto& [port, job] = kKnown[i];
    if (questions[i].is_exporter) {
      found.push_back({job, port, questions[i].to_world, port == kNodeExporter});
    }
  }
  return found;
}

std::string scrape_block(const std::vector<FoundExporter>& exporters) {
  std::string text;
  for (const auto& exporter : exporters) {
    if (exporter.is_replaced) continue;
    text += cat(text.empty() ? "scrape:\n" : "", "  - job: ", exporter.job, "\n    targets: ['",
                address_of(exporter.port), "']\n");
  }
  return text;
}

void check_exporters(const config::Config& config, const collectors::HostPaths& paths,
                     CheckReport& report) {
  std::string jobs;
  const auto targets = config::scrape_targets(config);
  for (const auto& exporter : find_exporters(paths)) {
    const bool scraped = is_scraped(targets, config, exporter.port);
    if (scraped && !exporter.to_world && !exporter.is_replaced) continue;
    report.add(step_of(exporter, scraped));
    if (scraped || exporter.is_replaced) continue;
    jobs += cat(jobs.empty() ? "" : ", ", "{job: ", exporter.job, ", targets: ['",
                address_of(exporter.port), "']}");
  }
  if (jobs.empty()) return;
  report.add(
      {.name = "scrape",
       .verdict = Verdict::note,
       .text = cat("to send what they expose, add to the configuration: scrape: [", jobs, "]")});
}

}  // namespace msp::cli
