// The journal's last word on the service, for when the agent itself cannot say what is wrong.
#pragma once

#include <string>

namespace msp::cli {

/// The last line of msp-agent.service at priority error; empty: none, no journalctl here, or it
/// does not answer soon. No shell is involved.
std::string last_journal_error();

}  // namespace msp::cli
