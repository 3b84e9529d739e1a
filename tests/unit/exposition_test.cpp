#include "agent/metrics/exposition.h"

#include <catch2/catch.hpp>

namespace msp {
namespace {

metrics::Scrape scrape_of(std::vector<std::pair<metrics::Series, double>> samples) {
  auto set = std::make_shared<metrics::SeriesSet>();
  metrics::Scrape scrape;
  for (auto& [series, value] : samples) {
    set->push_back(std::make_shared<const metrics::Series>(std::move(series)));
    scrape.values.push_back(value);
  }
  scrape.series = std::move(set);
  return scrape;
}

metrics::Series series(const std::string& name, metrics::DescPtr desc,
                       std::vector<metrics::Label> labels = {}) {
  labels.push_back({"__name__", name});
  return {metrics::Labels(std::move(labels)), std::move(desc)};
}

}  // namespace

TEST_CASE("text: every type has its HELP and TYPE, and what belongs together stands together") {
  const auto latency =
      metrics::make_desc("latency_seconds", "How long\nit took.", metrics::MetricType::histogram);
  const auto size = metrics::make_desc("size_bytes", "Sizes.", metrics::MetricType::summary);
  const auto odd = metrics::make_desc("odd", "", metrics::MetricType::untyped);
  const metrics::Scrape scrapes[] = {
      scrape_of({{series("latency_seconds_sum", latency), 1.5},
                 {series("requests_total", metrics::make_desc("requests_total", "Requests.",
                                                              metrics::MetricType::counter)),
                  3},
                 {series("size_bytes", size, {{"quantile", "0.5"}}), 7}}),
      scrape_of({{series("latency_seconds_bucket", latency, {{"le", "+Inf"}}), 2},
                 {series("latency_seconds_count", latency), 2},
                 {series("size_bytes_count", size), 4},
                 {series("odd", odd), 0},
                 {series("renamed", latency), 9}}),
  };
  CHECK(metrics::text_format(scrapes) ==
        "# HELP latency_seconds How long\\nit took.\n"
        "# TYPE latency_seconds histogram\n"
        "latency_seconds_sum 1.5\n"
        "latency_seconds_bucket{le=\"+Inf\"} 2\n"
        "latency_seconds_count 2\n"
        "# HELP odd \n"
        "# TYPE odd untyped\n"
        "odd 0\n"
        "# HELP renamed How long\\nit took.\n"
        "# TYPE renamed untyped\n"
        "renamed 9\n"
        "# HELP requests_total Requests.\n"
        "# TYPE requests_total counter\n"
        "requests_total 3\n"
        "# HELP size_bytes Sizes.\n"
        "# TYPE size_bytes summary\n"
        "size_bytes{quantile=\"0.5\"} 7\n"
        "size_bytes_count 4\n");
}

TEST_CASE("text: a series of which only the labels are known has no HELP and no TYPE") {
  CHECK(metrics::text_format(scrape_of({{series("read_back", nullptr, {{"a", "b"}}), 1}})) ==
        "read_back{a=\"b\"} 1\n");
}

}  // namespace msp
