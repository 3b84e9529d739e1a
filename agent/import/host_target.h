// Scrape targets as other agents write them: which of them is this host's own node_exporter.
#pragma once

#include <string_view>

namespace msp {

/// localhost:9100 and the like.
bool is_own_node_exporter(std::string_view address);

/// Any host, port 9100.
bool is_node_exporter(std::string_view address);

}  // namespace msp
