// Sends an ICMP echo request and waits for the reply, as ping does.
#pragma once

#include <memory>
#include <string>

#include "agent/sources/probe/icmp_echo.h"
#include "agent/sources/probe/probe.h"

namespace msp {

class IcmpProbe final : public Probe {
 public:
  /// The URL of `http` has the host.
  IcmpProbe(SourceOptions&& options, const HttpOptions& http, IpFamily preferred_ip,
            Transfers& transfers, Clock& clock);

 private:
  HttpRequest request() override;
  std::string judge(const HttpAnswer& answer, HttpTrace& trace, SeriesWriter& out) override;

  const IpFamily preferred_ip_;
  std::shared_ptr<IcmpEcho> echo_;  // of the request under way
};

}  // namespace msp
