// A probe of the configuration as a source.
#pragma once

#include <memory>

#include "agent/config/probe_target.h"
#include "agent/http/transfers.h"
#include "agent/sources/source.h"

namespace msp {

/// `transfers` outlives it.
std::unique_ptr<Source> make_probe(const ProbeTarget& target, SourceOptions&& options,
                                   Transfers& transfers);

}  // namespace msp
