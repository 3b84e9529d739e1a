// The list of collectors. A list and not self-registration: the linker drops a static object that
// nobody names.
#pragma once

#include <span>
#include <string_view>

#include "collectors/collector.h"

namespace msp {

struct CollectorEntry {
  std::string_view name;  // as in node_scrape_collector_success{collector}
  bool default_on;
  CollectorFactory make;
};

/// All collectors, by name. Static storage.
std::span<const CollectorEntry> collector_registry();

}  // namespace msp
