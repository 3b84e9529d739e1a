// Prometheus text exposition format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/metrics/sample.h"

namespace msp::metrics {

/// The scrapes of several sources as text: metrics by name, each with HELP and TYPE where they are
/// known, series in the scrapes' order, no timestamps.
std::string text_format(std::span<const Scrape> scrapes);
inline std::string text_format(const Scrape& scrape) {
  return text_format({&scrape, 1});
}

/// The series as a sample begins: name{label="value",..}.
std::string series_text(const Series& series);

/// A sample's value as the format writes it: shortest decimal that reads back the same, NaN, +Inf,
/// -Inf.
std::string text_value(double value);

/// `text` with backslash, newline and double quote escaped, as inside a label's quotes.
std::string escape_label_value(std::string_view text);

}  // namespace msp::metrics
