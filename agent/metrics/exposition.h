// Prometheus text exposition format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details).
#pragma once

#include <string>

#include "agent/metrics/sample.h"

namespace msp {

/// The scrape as text: families by name, each with HELP and TYPE, series in the scrape's order, no
/// timestamps. A series without a family, as one that was read back from disk, has neither.
std::string text_format(const Scrape& scrape);

/// The series as a sample begins: name{label="value",..}.
std::string series_text(const Series& series);

/// A sample's value as the format writes it: shortest decimal that reads back the same, NaN, +Inf,
/// -Inf.
std::string text_value(double value);

/// `text` with backslash, newline and double quote escaped, as inside a label's quotes.
std::string escape_label_value(std::string_view text);

}  // namespace msp
