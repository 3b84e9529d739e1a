// Scrape targets as other agents write them: which of them is this host's own node_exporter.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace msp::import {

/// A target's address in its parts: "host:port", "[::1]:9100", and, as vmagent takes it,
/// "https://host/metrics".
struct TargetAddress {
  std::string host;  // in lower case, without brackets
  std::string port;  // the scheme's own where none is written
};
TargetAddress target_address(std::string_view text);

/// The address without a login, for it may be shown or sent.
std::string without_login(std::string_view address);

/// localhost and its other names.
bool is_this_host(const TargetAddress& address);

struct TargetCandidate {
  std::string address;
  std::string job;  // what the job is called
};

/// Which of `candidates` is this host's node_exporter; nothing where none is for certain.
///
/// It is, in this order: port 9100 of localhost; any port of localhost in a job that is called node
/// or node_exporter; the only host that is called node_exporter, as a container is; the only target
/// on port 9100.
struct ChosenTarget {
  std::size_t index = 0;
  bool is_certain = false;  // port 9100 of localhost
};
std::optional<ChosenTarget> choose_node_exporter(const std::vector<TargetCandidate>& candidates);

/// What to say of a target that was chosen and is not certain.
std::string taken_for_node_exporter(std::string_view address);

/// Whether it is certainly this host's node_exporter, which is not scraped beside the collectors.
bool is_node_exporter(std::string_view address);

/// The same of process-exporter.
bool is_process_exporter(std::string_view address);

/// Why such a target is not carried over, where another one is.
std::string collected_once(std::string_view address);

}  // namespace msp::import
