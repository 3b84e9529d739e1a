// The list of collectors. A list and not self-registration: the linker drops a static object that
// nobody names.
#pragma once

#include <span>
#include <string_view>

#include "collectors/collector.h"

namespace msp::collectors {

struct CollectorEntry {
  std::string_view name;  // as in node_scrape_collector_success{collector}
  bool default_on;
  CollectorType type;

  auto make(const CollectorContext& context) const { return type.make(context); }
  auto options() const { return type.options(); }
};

/// All collectors, by name. Static storage.
std::span<const CollectorEntry> collector_registry();

/// The names of all.
std::span<const std::string_view> collector_names();

}  // namespace msp::collectors
