// msp-agent check, for one endpoint: a real request, with one harmless sample, step by step. Steps
// behind the one that failed are left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/check_report.h"
#include "agent/config/config.h"
#include "agent/http/answer.h"
#include "agent/http/trace.h"
#include "agent/metrics/sample.h"

namespace msp::cli {

inline constexpr metrics::MetricDesc kCheck{
    "msp_agent_check", "1 whenever msp-agent check wrote to this endpoint.", "the agent"};

/// Writes msp_agent_check to the endpoint, in the configured protocol, and reports. Takes the
/// endpoint's timeout; twice that where a first protocol was not understood. After init_http().
void check_endpoint(const config::EndpointConfig& endpoint, const config::Config& config,
                    CheckReport& report);

/// The last request of a check and what came of it.
struct EndpointAnswer {
  http::HttpTrace trace;
  http::HttpAnswer answer;
  bool accepted = false;
  std::string_view advice;  // to an operator, where it was not
  std::string protocol;     // of the request
  std::int64_t wall_s = 0;  // this host's clock when it was there
  std::optional<bool> is_clock_kept =
      {};  // this host's, by NTP; nothing where the kernel does not say
};

/// `name_servers` are those of /etc/resolv.conf, "10.0.0.2, 10.0.0.3".
std::vector<Step> endpoint_steps(const config::EndpointConfig& endpoint,
                                 const EndpointAnswer& answered, const std::string& name_servers);

/// The words behind "nameserver" in the text of a resolv.conf.
std::string name_servers_of(std::string_view resolv_conf);

}  // namespace msp::cli
