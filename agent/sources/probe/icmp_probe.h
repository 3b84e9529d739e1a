// Sends an ICMP echo request and waits for the reply, as ping does.
#pragma once

#include <memory>
#include <string>

#include "agent/sources/probe/icmp_echo.h"
#include "agent/sources/probe/probe.h"

namespace msp::sources {

class IcmpProbe final : public Probe {
 public:
  /// The URL of `http` has the host.
  IcmpProbe(SourceOptions&& options, const http::HttpOptions& http, http::IpFamily preferred_ip,
            http::Transfers& transfers, Clock& clock);

 private:
  http::HttpRequest request() override;
  std::string judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                    metrics::SeriesWriter& out) override;

  const http::IpFamily preferred_ip_;
  std::shared_ptr<IcmpEcho> echo_;  // of the request under way
};

}  // namespace msp::sources
