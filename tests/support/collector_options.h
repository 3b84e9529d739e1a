// The options of a collector, by their keys: their type is known to the collector's file alone.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "agent/config/config.h"
#include "collectors/registry.h"

namespace msp::test {

inline collectors::CollectorOptions options_of(std::string_view collector) {
  for (const auto& entry : collectors::collector_registry()) {
    if (entry.name == collector) return entry.options();
  }
  throw std::out_of_range("no collector " + std::string(collector));
}

/// The value of an option; copies of `options` share it.
template <typename Value>
Value& option(const collectors::CollectorOptions& options, std::string_view name) {
  for (const auto& key : options.keys()) {
    if (key.name == name) return *static_cast<Value*>(key.field(options.values(), name));
  }
  throw std::out_of_range("no option " + std::string(name));
}

/// The filter of a key such as "netdev.device_exclude".
inline Filter& filter_of(const std::map<std::string, collectors::CollectorOptions>& options,
                         const std::string& path) {
  const auto dot = path.find('.');
  return option<Filter>(options.at(path.substr(0, dot)), path.substr(dot + 1));
}

}  // namespace msp::test
