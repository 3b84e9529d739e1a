// The entries of a sysfs directory that are a prefix and a number: cpu0 cpu1 ..., clocksource0.
#pragma once

#include <dirent.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/failed_open.h"

namespace msp::collectors {

/// Their names in byte order (cpu10 before cpu2): the order in which node_exporter visits them, and
/// of two files that count the same thing it takes the first. Empty when there is no such
/// directory.
inline std::vector<std::string> numbered_entries(const std::string& directory,
                                                 std::string_view prefix) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(directory.c_str()), closedir);
  std::vector<std::string> names;
  if (!open) {
    note_failed_open();
    return names;
  }
  while (const dirent* entry = readdir(open.get())) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(prefix)) continue;
    const auto number = name.substr(prefix.size());
    if (number.empty() || number.find_first_not_of("0123456789") != number.npos) continue;
    names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace msp::collectors
