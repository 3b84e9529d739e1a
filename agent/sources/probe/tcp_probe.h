// Connects to a port, with TLS where that is wanted, and closes the connection again.
#pragma once

#include <string>

#include "agent/sources/probe/probe.h"

namespace msp {

class TcpProbe final : public Probe {
 public:
  /// The URL of `http` has the host and the port; it is https where TLS is wanted.
  TcpProbe(SourceOptions&& options, const HttpOptions& http, IpFamily preferred_ip,
           Transfers& transfers, Clock& clock);

 private:
  HttpRequest request() override;
  std::string judge(const HttpAnswer& answer, HttpTrace& trace, SeriesWriter& out) override;

  const IpFamily preferred_ip_;
};

}  // namespace msp
