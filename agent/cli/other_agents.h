// Which agents run on this host: a second one of ours, or another product that sends the same
// metrics. Looks at /proc only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace msp::cli {

struct RunningAgent {
  int pid;
  std::string name;  // "alloy"
};

/// The processes under `procfs` that are agents, by pid. Commands of msp-agent that end by
/// themselves (check, status) are none.
std::vector<RunningAgent> running_agents(const std::string& procfs);

/// The agent that a process with these arguments is, each ended by NUL as in /proc/PID/cmdline;
/// empty: none.
std::string_view agent_name(std::string_view cmdline);

}  // namespace msp::cli
