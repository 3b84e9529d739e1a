// Which cloud this host runs in, from files alone: never a network call.
#pragma once

#include <string>

#include "collectors/collector.h"

namespace msp::cli {

/// Empty where it is not known.
struct Cloud {
  std::string provider;  // "aws", "gcp", "azure", ...
  std::string region;
};

/// What cloud-init was told at boot (/run/cloud-init/instance-data.json), else what the firmware
/// says (/sys/class/dmi/id), which knows no region.
Cloud detect_cloud(const collectors::HostPaths& paths);

}  // namespace msp::cli
