#include "agent/sources/probe/dns_probe.h"

#include <algorithm>
#include <utility>

#include "agent/base/dns_names.h"
#include "agent/base/text.h"
#include "agent/sources/probe/metrics.h"

namespace msp::sources {

using namespace probe_metrics;

namespace {

constexpr std::string_view kSections[] = {"answer", "authority", "additional"};

std::string rcode_text(std::uint16_t rcode) {
  const auto word = dns_word(kDnsRcodes, rcode);
  return word.empty() ? cat("rcode ", rcode) : std::string(word);
}

/// The key of the configuration that `answer` offends; empty: none.
std::string_view offended(const DnsProbe::Rules& rules, const DnsAnswer& answer,
                          DnsAnswer::Section section) {
  bool has_one = rules.one_required.empty();
  const auto& records = answer.records(section);
  if (records.empty() && !rules.required.empty()) return "fail_if_not_matches_regexp";
  for (const auto& record : records) {
    if (rules.empty()) break;
    const auto text = answer.text(record);
    const auto matches = [&](const Filter& filter) { return filter(text); };
    if (std::ranges::any_of(rules.forbidden, matches)) return "fail_if_matches_regexp";
    if (!std::ranges::all_of(rules.required, matches)) return "fail_if_not_matches_regexp";
    has_one = has_one || std::ranges::any_of(rules.one_required, matches);
  }
  return has_one ? "" : "fail_if_none_matches_regexp";
}

}  // namespace

DnsProbe::DnsProbe(SourceOptions&& options, const http::HttpOptions& http, Setup&& setup,
                   http::Transfers& transfers, Clock& clock)
    : Probe(std::move(options), http, transfers, clock), setup_(std::move(setup)) {}

http::HttpRequest DnsProbe::request() {
  query_ = std::make_shared<DnsQuery>(setup_.question, setup_.uses_tcp);
  http::HttpRequest request;
  request.only_connects = true;
  request.preferred_ip = setup_.preferred_ip;
  request.task = query_;
  return request;
}

std::string DnsProbe::problem_of(const DnsAnswer& answer) const {
  const auto& valid = setup_.valid_rcodes;
  const bool is_valid =
      valid.empty() ? answer.rcode() == 0 : std::ranges::find(valid, answer.rcode()) != valid.end();
  if (!is_valid) return cat("the name server answers ", rcode_text(answer.rcode()));
  for (const auto section : {DnsAnswer::answer, DnsAnswer::authority, DnsAnswer::additional}) {
    const auto key = offended(setup_.rules[section], answer, section);
    if (!key.empty()) return cat("the ", kSections[section], " section offends ", key);
  }
  return {};
}

std::string DnsProbe::judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                            metrics::SeriesWriter& out) {
  const auto query = std::move(query_);
  const auto& found = query->answer();
  const bool is_resolved = !trace.home_address.empty();
  const auto task = static_cast<double>(trace.task_us) / 1e6;
  const auto connect =
      query->connected_ns() ? static_cast<double>(*query->connected_ns()) / 1e9 : task;
  out.add(kDnsDuration, {"resolve"},
          is_resolved ? static_cast<double>(trace.home_resolved_us) / 1e6 : 0);
  out.add(kDnsDuration, {"connect"}, connect);
  out.add(kDnsDuration, {"request"}, std::max(task - connect, 0.0));
  const metrics::MetricDesc* const counts[] = {&kDnsAnswer, &kDnsAuthority, &kDnsAdditional};
  for (const auto section : {DnsAnswer::answer, DnsAnswer::authority, DnsAnswer::additional}) {
    out.add(*counts[section], found ? static_cast<double>(found->records(section).size()) : 0);
  }
  out.add(kDnsSucceeded, found ? 1 : 0);
  if (found && setup_.question.type == dns_number(kDnsTypes, "SOA")) {
    out.add(kDnsSerial, found->serial().value_or(0));
  }
  if (found) return problem_of(*found);
  return query->problem().empty() ? reason_of(answer) : query->problem();
}

}  // namespace msp::sources
