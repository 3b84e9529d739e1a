#include "agent/config/config.h"
namespace msp {
std::string ConfigError::to_string() const { return text; }
ConfigOutcome parse_config(const std::string&, const std::string&) {
  ConfigOutcome o;
  const auto all = [](std::string_view) { return true; };
  o.config.collector_options = {{all, all}, all, all};
  return o;
}
}  // namespace msp
