// GET /metrics as node_exporter answers it: the host's metrics as text 0.0.4, with HELP and TYPE, for
// a Prometheus that pulls. No labels of the configuration are on them: the Prometheus sets its own.
//
// Each request reads the host anew, with collectors of its own, on a thread that is there for that
// moment only: neither the ticks nor the server wait for it. Requests that come while one reads, or
// within a second after it has begun, get the same page. What costly collectors have read is told
// again until collectors.costly_interval is over.
//
// `collect[]` and `exclude[]` choose collectors. Beside theirs the page has process_* and
// msp_agent_build_info.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/wakeup.h"
#include "agent/listen/server.h"
#include "agent/metrics/series_writer.h"
#include "collectors/collector.h"

namespace msp::run {

class MetricsPage final : public listen::RequestHandler {
 public:
  struct Setup {
    std::vector<std::string> collectors;  // names of the registry
    collectors::HostPaths paths = {};
    std::map<std::string, collectors::CollectorOptions> options = {};
    std::chrono::milliseconds costly_interval{0};
    std::size_t series_max = metrics::kSeriesMaxDefault;
    metrics::Relabel relabel = nullptr;
    std::shared_ptr<const Wakeup> wakeup;  // the server's
    std::function<void(std::string_view collector, const Error* error)> on_health_change =
        [](std::string_view, const Error*) {};
    collectors::Host host = {};
  };

  explicit MetricsPage(Setup setup);
  ~MetricsPage() override;

  std::optional<listen::HttpReply> refuse(listen::HttpRequestHead& head,
                                          std::size_t& body_bytes_max) override;
  void handle(const listen::HttpRequestHead& head, std::string& body, listen::ReplyTo to,
              listen::Server& server) override;
  void work(listen::Server& server) override;
  std::int64_t due_ns() const override;

 private:
  struct Set;

  Result<std::vector<std::string>> select(std::string_view query) const;
  Set* find_set(const std::vector<std::string>& collectors);
  bool forget_oldest();

  const std::shared_ptr<const Setup> setup_;
  std::vector<std::unique_ptr<Set>> sets_;
};

}  // namespace msp::run
