// A row per bad configuration: the text, and the exact words an operator will read.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/config/schema.h"
#include "collectors/registry.h"

namespace msp::test {

struct Row {
  std::string yaml;
  std::vector<std::string> errors;
};

inline std::vector<std::string> errors_of(const std::string& yaml) {
  std::vector<std::string> errors;
  for (const auto& error : config::parse_config(yaml, "f").errors)
    errors.push_back(error.to_string());
  return errors;
}

inline void check(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    INFO(row.yaml);
    CHECK(errors_of(row.yaml) == row.errors);
  }
}

/// A good file whose third line is the first of `rest`.
inline std::string with(const std::string& rest) {
  return "customer_id: alpha\nremote_write: {url: http://h/w}\n" + rest;
}

/// A good file whose fourth line is the first of `rest`, inside remote_write.
inline std::string with_endpoint(const std::string& rest) {
  return "customer_id: alpha\nremote_write:\n  url: http://h/w\n" + rest;
}

inline std::string names_of_collectors() {
  return config::one_of(collectors::collector_names());
}

inline const std::string kIdAccepted =
    "; accepted: 1 to 63 characters a-z, A-Z, 0-9, '-' and '_', the first and last not '-', such "
    "as "
    "customer_id: alpha";
inline const std::string kUrlAccepted =
    "; accepted: an address such as https://monitor.example.com/api/v1/write";
inline const std::string kTopKeys =
    "; accepted: buffer, collectors, customer_id, environment, interval, labels, listen, log, "
    "metrics, probes, relabel, remote_write, scrape, series_max, server_name";

}  // namespace msp::test
