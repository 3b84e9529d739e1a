// The agent without remote_write: it answers at `listen` and does nothing else. No ticks, no buffer, no
// thread beside that of the server; the host is read when somebody asks.
#pragma once

#include "agent/run/agent.h"
#include "agent/run/signals.h"

namespace msp::run {

/// Runs until SIGTERM or SIGINT; at SIGHUP takes over what `read_config` gives. An error is why it
/// cannot listen. `config` has no endpoint.
Result<void> run_exporter(const config::Config& config, const collectors::HostPaths& paths,
                          const ReadConfig& read_config, const Signals& signals);

}  // namespace msp::run
