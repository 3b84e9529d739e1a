// A configuration in the making: what `msp-agent init` was told so far, and the file that comes of
// it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/metrics/labels.h"

namespace msp::cli {

/// Empty: not set. Values as they stand in the file: ${NAME} is taken from the environment.
struct ConfigDraft {
  std::string customer_id;
  std::string server_name;
  std::string environment;
  std::vector<metrics::Label> labels;
  std::string url;
  std::string username;
  std::string password_file;
  std::string bearer_token_file;
  std::string ca_file;
  std::string scrape;  // a block of the file, as it stands there

  /// The file, commented.
  std::string yaml() const;

  /// What the agent would say of the value of `key` ("remote_write.url"; "labels" is all of them);
  /// empty: nothing. What is still missing does not count.
  std::string problem_with(std::string_view key) const;
};

}  // namespace msp::cli
