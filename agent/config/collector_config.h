// collectors of the configuration: which ones run, and what they look at.
#pragma once

#include "agent/config/config.h"
#include "agent/config/section.h"

namespace msp {

/// Reads `top`'s key collectors into `out.collectors` and `out.collector_options`.
void read_collectors(Section& top, Diagnostics& findings, Config& out);

}  // namespace msp
