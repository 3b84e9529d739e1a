#include "agent/sources/probe/tcp_probe.h"

#include <utility>

#include "agent/sources/probe/metrics.h"

namespace msp::sources {

using namespace probe_metrics;

TcpProbe::TcpProbe(SourceOptions&& options, const http::HttpOptions& http,
                   http::IpFamily preferred_ip, http::Transfers& transfers, Clock& clock)
    : Probe(std::move(options), http, transfers, clock), preferred_ip_(preferred_ip) {}

http::HttpRequest TcpProbe::request() {
  http::HttpRequest request;
  request.only_connects = true;
  request.preferred_ip = preferred_ip_;
  return request;
}

std::string TcpProbe::judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                            metrics::SeriesWriter& out) {
  out.add(kFailedByRegex, 0);
  add_tls(trace.handshake, out);
  return reason_of(answer);
}

}  // namespace msp::sources
