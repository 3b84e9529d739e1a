// The probes of a configuration, each with its address and its labels.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "agent/http/options.h"
#include "agent/metrics/series_writer.h"

namespace msp::config {

/// Whether it can be the target of any module.
bool is_probe_text(std::string_view text);

/// http: a URL without a user, whose http:// may be left out; tcp: host:port; icmp: a host; dns:
/// a host or host:port.
bool is_probe_target(std::string_view text, ProbeModule module);

/// A domain name as a question asks for it; "." is the root.
bool is_query_name(std::string_view text);

/// From 100 to 599.
bool is_status_code(std::string_view text);

struct ProbeTarget {
  const ProbeConfig* probe;  // of the configuration
  std::string name;          // "probe shop": unique, the same after a restart
  http::HttpOptions http;
  std::chrono::milliseconds interval{0};
  metrics::TargetLabels labels;
};

/// In the order of the file.
std::vector<ProbeTarget> probe_targets(const Config& config);

}  // namespace msp::config
