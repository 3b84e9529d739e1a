// What each endpoint has acknowledged, kept across restarts in one small text file:
//   msp-agent cursors 2
//   1234,1240-1250,1260-1260 https://monitor.example.com/api/v1/write
//   checksum 1234567890                 (XXH3-64 of all lines before)
// All before 1234, then ranges (version 1 had none). Replaced by rename, so that it is always
// whole. It may be older than the truth, never newer: then an endpoint gets some samples a second
// time, with the same timestamps and values, which a receiver that removes duplicates takes as one.
#pragma once

#include <map>
#include <string>

#include "agent/queue/acknowledged.h"
#include "agent/queue/file_system.h"

namespace msp {

/// By the endpoint's name.
using Cursors = std::map<std::string, Acknowledged>;

/// None where there is no file, or one that is damaged: the error says so. One of a newer version
/// is set aside as cursors.newer: another version of the agent will want it.
Result<Cursors> load_cursors(FileSystem& files, const std::string& folder);

Result<void> save_cursors(FileSystem& files, const std::string& folder, const Cursors& cursors);

}  // namespace msp
