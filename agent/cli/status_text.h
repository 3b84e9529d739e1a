// A status for a person at 3 a.m.: first whether all is well, or what is wrong and what to do; then
// tables.
#pragma once

#include <string>

#include "agent/cli/seen_status.h"

namespace msp::cli {

struct StatusText {
  bool is_well = false;
  std::string headline;  // lines, each with its newline: the first is the verdict
  std::string tables;    // empty: nothing is known
};

/// `wall_seconds` since 1970 is now; `journal_error` as of last_journal_error().
StatusText status_text(const SeenStatus& seen, double wall_seconds,
                       const std::string& journal_error);

}  // namespace msp::cli
