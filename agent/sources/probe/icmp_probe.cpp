#include "agent/sources/probe/icmp_probe.h"

#include <utility>

#include "agent/sources/probe/metrics.h"

namespace msp::sources {

using namespace probe_metrics;

IcmpProbe::IcmpProbe(SourceOptions&& options, const http::HttpOptions& http,
                     http::IpFamily preferred_ip, http::Transfers& transfers, Clock& clock)
    : Probe(std::move(options), http, transfers, clock), preferred_ip_(preferred_ip) {}

http::HttpRequest IcmpProbe::request() {
  echo_ = std::make_shared<IcmpEcho>();
  http::HttpRequest request;
  request.only_connects = true;
  request.preferred_ip = preferred_ip_;
  request.task = echo_;
  return request;
}

std::string IcmpProbe::judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                             metrics::SeriesWriter& out) {
  const auto echo = std::move(echo_);
  const bool is_resolved = !trace.home_address.empty();
  out.add(kIcmpDuration, {"resolve"},
          is_resolved ? static_cast<double>(trace.home_resolved_us) / 1e6 : 0);
  out.add(kIcmpDuration, {"setup"}, static_cast<double>(echo->setup_ns()) / 1e9);
  out.add(kIcmpDuration, {"rtt"}, static_cast<double>(echo->rtt_ns()) / 1e9);
  if (const auto limit = echo->hop_limit()) out.add(kIcmpHopLimit, *limit);
  if (echo->has_reply()) return {};
  return echo->problem().empty() ? reason_of(answer) : echo->problem();
}

}  // namespace msp::sources
