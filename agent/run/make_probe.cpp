#include "agent/run/make_probe.h"

#include <utility>

#include "agent/base/dns_names.h"
#include "agent/base/regex.h"
#include "agent/base/text.h"
#include "agent/sources/probe/dns_probe.h"
#include "agent/sources/probe/http_probe.h"
#include "agent/sources/probe/icmp_probe.h"
#include "agent/sources/probe/tcp_probe.h"

namespace msp::run {
namespace {

/// Expressions that the configuration has validated.
std::vector<Filter> filters_of(const std::vector<std::string>& expressions) {
  std::vector<Filter> filters;
  for (const auto& expression : expressions) {
    if (auto filter = make_filter(expression, PatternUse::include)) {
      filters.push_back(std::move(*filter));
    }
  }
  return filters;
}

sources::DnsProbe::Rules dns_rules(const config::DnsRecordRules& rules) {
  return {.forbidden = filters_of(rules.forbidden),
          .required = filters_of(rules.required),
          .one_required = filters_of(rules.one_required)};
}

sources::DnsProbe::Setup dns_setup(const config::ProbeConfig& probe) {
  sources::DnsProbe::Setup setup{
      .question = {.name = probe.query_name,
                   .type = dns_number(kDnsTypes, probe.query_type).value_or(0),
                   .wants_recursion = probe.recursion_desired},
      .uses_tcp = probe.transport == config::DnsTransport::tcp,
      .valid_rcodes = {},
      .rules = {dns_rules(probe.answer_rules), dns_rules(probe.authority_rules),
                dns_rules(probe.additional_rules)},
      .preferred_ip = probe.preferred_ip};
  for (const auto& rcode : probe.valid_rcodes) {
    setup.valid_rcodes.push_back(dns_number(kDnsRcodes, rcode).value_or(0));
  }
  return setup;
}

/// "db.example.com" of "db.example.com:5432", "::1" of "[::1]:5432".
std::string host_of(std::string_view target) {
  target = target.substr(0, target.rfind(':'));
  if (!target.starts_with('[')) return std::string(target);
  return std::string(target.substr(1, target.size() - 2));
}

sources::TcpProbe::Setup tcp_setup(const config::ProbeTarget& target) {
  const auto& probe = *target.probe;
  sources::TcpProbe::Setup setup{.preferred_ip = probe.preferred_ip};
  if (probe.query_response.empty()) return setup;
  const auto& name = target.http.tls.server_name;
  auto dialog = std::make_shared<sources::TcpDialog::Setup>(
      sources::TcpDialog::Setup{.steps = {},
                                .tls = target.http.tls,
                                .host = name.empty() ? host_of(probe.target) : name,
                                .begins_tls = probe.uses_tls});
  for (const auto& step : probe.query_response) {
    auto& made = dialog->steps.emplace_back();
    // The configuration has validated the expression.
    if (step.has_expect()) {
      if (auto regex = PartRegex::compile(*step.expect)) made.expect = std::move(*regex);
    }
    made.send = step.send.value_or("");
    made.starts_tls = step.starts_tls;
    for (const auto& [label, value] : step.labels)
      made.labels.push_back({label, value.value_or("")});
  }
  setup.dialog = std::move(dialog);
  return setup;
}

}  // namespace

std::unique_ptr<sources::Source> make_probe(const config::ProbeTarget& target,
                                            sources::SourceOptions&& options,
                                            http::Transfers& transfers) {
  const auto& probe = *target.probe;
  if (probe.module == config::ProbeModule::tcp) {
    return std::make_unique<sources::TcpProbe>(std::move(options), target.http, tcp_setup(target),
                                               transfers, real_clock());
  }
  if (probe.module == config::ProbeModule::icmp) {
    return std::make_unique<sources::IcmpProbe>(std::move(options), target.http, probe.preferred_ip,
                                                transfers, real_clock());
  }
  if (probe.module == config::ProbeModule::dns) {
    return std::make_unique<sources::DnsProbe>(std::move(options), target.http, dns_setup(probe),
                                               transfers, real_clock());
  }
  sources::HttpProbe::Setup setup{.method = probe.method,
                                  .body = probe.body,
                                  .fails_if_ssl = probe.fails_if_ssl,
                                  .fails_if_not_ssl = probe.fails_if_not_ssl,
                                  .forbidden = filters_of(probe.forbidden),
                                  .required = filters_of(probe.required),
                                  .body_bytes_max = probe.body_bytes_max,
                                  .preferred_ip = probe.preferred_ip};
  for (const auto& code : probe.valid_status_codes) {
    setup.valid_status_codes.push_back(parse_number<int>(code).value_or(0));
  }
  return std::make_unique<sources::HttpProbe>(std::move(options), target.http, std::move(setup),
                                              transfers, real_clock());
}

}  // namespace msp::run
