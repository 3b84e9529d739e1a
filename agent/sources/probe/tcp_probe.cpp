#include "agent/sources/probe/tcp_probe.h"

#include <utility>

#include "agent/sources/probe/metrics.h"

namespace msp {

using namespace probe_metrics;

TcpProbe::TcpProbe(SourceOptions&& options, const HttpOptions& http, IpFamily preferred_ip,
                   Transfers& transfers, Clock& clock)
    : Probe(std::move(options), http, transfers, clock), preferred_ip_(preferred_ip) {}

HttpRequest TcpProbe::request() {
  HttpRequest request;
  request.only_connects = true;
  request.preferred_ip = preferred_ip_;
  return request;
}

std::string TcpProbe::judge(const HttpAnswer& answer, HttpTrace& trace, SeriesWriter& out) {
  out.add(kFailedByRegex, 0);
  add_tls(trace.handshake, out);
  return reason_of(answer);
}

}  // namespace msp
