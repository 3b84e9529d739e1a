// Connects to a port, with TLS where that is wanted, says what is to be said, and closes the connection
// again.
#pragma once

#include <memory>
#include <string>

#include "agent/sources/probe/probe.h"
#include "agent/sources/probe/tcp_dialog.h"

namespace msp::sources {

class TcpProbe final : public Probe {
 public:
  struct Setup {
    http::IpFamily preferred_ip = http::IpFamily::any;
    std::shared_ptr<const TcpDialog::Setup> dialog = nullptr;  // null: nothing is said
  };

  /// The URL of `http` has the host and the port; it is https where TLS is wanted.
  TcpProbe(SourceOptions&& options, const http::HttpOptions& http, Setup&& setup,
           http::Transfers& transfers, Clock& clock);

 private:
  http::HttpRequest request() override;
  std::string judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                    metrics::SeriesWriter& out) override;

  const Setup setup_;
  std::shared_ptr<TcpDialog> dialog_;  // under way
};

}  // namespace msp::sources
