// Connects to a port, with TLS where that is wanted, and closes the connection again.
#pragma once

#include <string>

#include "agent/sources/probe/probe.h"

namespace msp::sources {

class TcpProbe final : public Probe {
 public:
  /// The URL of `http` has the host and the port; it is https where TLS is wanted.
  TcpProbe(SourceOptions&& options, const http::HttpOptions& http, http::IpFamily preferred_ip,
           http::Transfers& transfers, Clock& clock);

 private:
  http::HttpRequest request() override;
  std::string judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                    metrics::SeriesWriter& out) override;

  const http::IpFamily preferred_ip_;
};

}  // namespace msp::sources
