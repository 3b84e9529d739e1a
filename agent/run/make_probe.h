// A probe of the configuration as a source.
#pragma once

#include <memory>

#include "agent/config/probe_target.h"
#include "agent/http/transfers.h"
#include "agent/sources/source.h"

namespace msp::run {

/// `transfers` outlives it.
std::unique_ptr<sources::Source> make_probe(const config::ProbeTarget& target,
                                            sources::SourceOptions&& options,
                                            http::Transfers& transfers);

}  // namespace msp::run
