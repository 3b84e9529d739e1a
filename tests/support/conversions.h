// Conversions of single configurations, for the tests of agent/import.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/import/conversion.h"

namespace msp {

inline import::Conversion alloy(const std::string& text) {
  return import::convert(import::ForeignAgent::alloy, {{"f.alloy", text}}, std::nullopt);
}

/// A host with `labels` in external_labels and `more` in its endpoint.
inline std::string host(const std::string& labels, const std::string& more = "") {
  return cat("prometheus.remote_write \"w\" {\n external_labels = {", labels,
             "}\n endpoint {\n  url = \"http://h/w\"\n", more, "\n }\n}\n");
}

/// What msp-agent makes of the result, which it must not refuse.
inline config::Config loaded(const import::Conversion& conversion) {
  INFO(conversion.error);
  REQUIRE(conversion.yaml.has_value());
  INFO(*conversion.yaml);
  const auto outcome = config::parse_config(*conversion.yaml, "f");
  for (const auto& error : outcome.errors) FAIL(error.to_string());
  return outcome.config;
}

inline std::string label(const config::Config& config, std::string_view name) {
  for (const auto& one : config.labels) {
    if (one.name == name) return one.value;
  }
  return "";
}

/// The label of this host's samples behind the rules.
inline std::string sent(const config::Config& config, std::string_view name) {
  std::vector<metrics::Label> labels = {{"__name__", "node_load1"}};
  const auto target = config.target_labels();
  for (const auto& label : target.forced) labels.push_back(label);
  for (const auto& label : target.defaults) {
    const auto is_it = [&](const metrics::Label& other) { return other.name == label.name; };
    if (std::none_of(labels.begin(), labels.end(), is_it)) labels.push_back(label);
  }
  if (const auto relabel = config.relabel_of(); relabel && !relabel(labels)) return "";
  for (const auto& one : labels) {
    if (one.name == name) return one.value;
  }
  return "";
}

inline bool told(const import::Conversion& conversion, std::string_view words) {
  for (const auto& note : conversion.notes) {
    if (note.to_string().find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace msp
