// A target that exposes metrics over HTTP. The request is under way on the thread of Transfers; what
// has arrived is parsed and taken at the tick.
//
// Labels that the target exposes and the agent has as well become exported_X, or stay with
// honor_labels (OwnLabel). A line that is damaged costs itself; a target without a good line is down.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/http/transfers.h"
#include "agent/metrics/exposition_parser.h"
#include "agent/metrics/own_times.h"
#include "agent/sources/target.h"

namespace msp::sources {

/// Of a target that has such lines.
inline constexpr metrics::MetricDesc kScrapeBadLines{
    "msp_agent_scrape_bad_lines", "Lines of the last scrape that are no samples and were left out.",
    "the agent"};

class Exporter final : public Target {
 public:
  struct Setup {
    http::HttpOptions http;  // its timeout is how long a scrape may take
    std::size_t body_bytes_max = 0;
    bool normalizes = true;
    bool honors_timestamps = false;
  };

  /// `transfers` and `clock` outlive it.
  Exporter(SourceOptions options, Setup setup, http::Transfers& transfers, Clock& clock);

  std::int64_t wait_ns() override;
  std::vector<metrics::Scrape> take_timed() override { return std::exchange(timed_, {}); }

 private:
  void start(const metrics::Tick& tick) override;
  Result<void> collect(const metrics::Tick& tick, metrics::SeriesWriter& out) override;
  void add_about(metrics::SeriesWriter& out, SourceHealth& health) override;
  std::size_t settle(metrics::Scrape& scrape) override;
  void add_timed(metrics::ExpositionParser& parser, std::int64_t now_ms,
                 metrics::SeriesWriter& out);

  const Setup setup_;
  const std::unique_ptr<http::Transfers::Peer> peer_;
  Result<void> started_;
  std::size_t bad_lines_ = 0;
  std::string first_bad_line_;
  metrics::OwnTimes own_times_;
  std::vector<metrics::Scrape> timed_;
};

/// The request for a target's metrics, as a scrape makes it.
http::HttpRequest scrape_request(std::chrono::milliseconds timeout, std::size_t body_bytes_max);

/// How the answer of a server that was asked with `options` is to be read.
metrics::ExpositionOptions exposition_options(const http::HttpAnswer& answer,
                                              const http::HttpOptions& options, bool normalizes);

/// Why the answer is no scrape; an error says what to do where that is known.
Result<void> check_scrape(const http::HttpAnswer& answer);

}  // namespace msp::sources
