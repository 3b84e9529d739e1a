// The table of all keys of the configuration. Whoever reads, writes, shows or describes a
// configuration goes through it: section.h reads by it, snippet.h and secrets.h know from it what is
// a secret, `init` writes by it, the pages are made from it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/config_key.h"
#include "agent/config/config.h"

namespace msp::config {

/// The whole configuration, with the keys at the top of the file.
const key_type::Group& config_schema();

/// Calls `visit` for each key, a mapping before its keys. Paths are dotted: remote_write.tls.ca_file.
void visit_keys(const std::function<void(const ConfigKey& key, const std::string& path)>& visit);

/// The same with the value in `config`, for each of several: remote_write[1].url. A single endpoint
/// has no number.
void visit_values(const Config& config,
                  const std::function<void(const ConfigKey& key, const std::string& path,
                                           const void* field)>& visit);

/// The key of a dotted path, which must be one.
const ConfigKey& find_key(std::string_view path);

/// What a message says about a value that is refused, behind "accepted: ". `field` has the default.
std::string accepted_by(const ConfigKey& key, const void* field);

/// "1s to 1h", "from 100"; empty for what is no amount.
std::string range_of(const ConfigKey& key);

/// A single value as it stands in a file; empty where the field is, and for what holds several.
std::string value_of(const ConfigKey& key, const void* field);

/// "a, b, c"
std::string one_of(std::span<const std::string_view> words);

/// The options of every collector, all other values as the types have them: what is read into.
Config default_config();

}  // namespace msp::config
