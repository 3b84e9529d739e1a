// One scrape of a target, as the agent makes it, as steps of a report.
#pragma once

#include "agent/cli/check_report.h"
#include "agent/config/probe_target.h"
#include "agent/config/scrape_target.h"

namespace msp::cli {

/// The same of a probe, as one step.
void check_probe(const config::ProbeTarget& target, CheckReport& report);

void check_target(const config::ScrapeTarget& target, CheckReport& report);

}  // namespace msp::cli
