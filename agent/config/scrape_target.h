// The targets of a configuration's `scrape`, each with its address and its labels.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "agent/http/options.h"
#include "agent/metrics/series_writer.h"

namespace msp::config {

inline constexpr std::string_view kTargetAccepted =
    "a list of targets, such as [http://127.0.0.1:9104/metrics, 127.0.0.1:9121, "
    "unix:/run/app.sock]";

/// A URL without a user, host:port, or unix:/path; behind that, ":/metrics" is the path of its URL.
bool is_scrape_target(std::string_view text);

struct ScrapeTarget {
  const ScrapeConfig* scrape;  // of the configuration
  std::string job;
  std::string shown;  // its address without what may be a secret
  std::string name;   // "mysqld/http://127.0.0.1:9104/metrics": unique, the same after a restart
  http::HttpOptions http;
  std::chrono::milliseconds interval{0};
  metrics::TargetLabels labels;
};

/// In the order of the file.
std::vector<ScrapeTarget> scrape_targets(const Config& config);

}  // namespace msp::config
