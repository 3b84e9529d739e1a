// A probe: one look at a service from outside, with blackbox_exporter's metrics. A service that does
// not answer as it should has probe_success 0, and up 1: the probe itself has worked. up is 0 where
// the agent could not make the probe, as without the file of a password.
//
// Of the requests of all probes each runs on the thread of Transfers; one that hangs costs itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/http/transfers.h"
#include "agent/sources/target.h"

namespace msp::sources {

class Probe : public Target {
 public:
  /// `http.timeout` is how long it may take. `transfers` and `clock` outlive it.
  Probe(SourceOptions&& options, const http::HttpOptions& http, http::Transfers& transfers,
        Clock& clock);

  std::int64_t wait_ns() override;

 protected:
  /// What is sent; that it is a probe is filled in.
  virtual http::HttpRequest request() = 0;
  virtual std::string body() const { return {}; }

  /// Adds the samples of the module. Empty: the service is as it should be; else why not.
  virtual std::string judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                            metrics::SeriesWriter& out) = 0;

  const http::HttpOptions& http() const { return peer_->options(); }

 private:
  void start(const metrics::Tick& tick) final;
  Result<void> collect(const metrics::Tick& tick, metrics::SeriesWriter& out) final;
  void add_about(metrics::SeriesWriter& out, SourceHealth& health) final;

  const std::unique_ptr<http::Transfers::Peer> peer_;
  Result<void> started_;
  std::string problem_;
};

/// The metrics of a TLS connection; none where there was none.
void add_tls(const http::Handshake& handshake, metrics::SeriesWriter& out);

/// "connection refused by 127.0.0.1:1": a failure without what to do about the configuration.
std::string reason_of(const http::HttpAnswer& answer);

}  // namespace msp::sources
