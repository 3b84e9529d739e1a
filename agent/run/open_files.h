// How many files the agent has open at once, and whether the host lets it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "agent/config/config.h"

namespace msp::run {

/// What an agent of this configuration may need, a reload that replaces every endpoint included.
std::uint64_t open_files_needed(const config::Config& config);

/// How many connections `listen` takes at once: for a relay as many as its agents need and the hard
/// limit of descriptors and the memory of its control group leave.
std::size_t connections_max(const config::Config& config);

/// Raises the soft limit of this process to `needed`, where it is lower and the hard one allows it.
/// Returns a sentence, with what to do, where the hard limit is too low; else nothing.
std::string raise_open_files(std::uint64_t needed);

}  // namespace msp::run
