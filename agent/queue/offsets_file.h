// What each consumer is done with, kept across restarts in one small text file, `offsets`:
//   msp-agent offsets 1
//   1234,1240-1250,1260-1260 alpha https://monitor.example.com/api/v1/write
//   checksum 1234567890                 (XXH3-64 of all lines before)
// All entries before 1234, then ranges. Replaced by rename, so that it is always whole. It may be
// older than the truth, never newer: then a consumer gets some samples a second time, with the same
// timestamps and values, which a receiver that removes duplicates takes as one.
#pragma once

#include <map>
#include <string>

#include "agent/queue/file_system.h"
#include "agent/queue/offset.h"

namespace msp::queue {

/// By the consumer's name.
using Offsets = std::map<std::string, Offset>;

/// Error::Kind::no_data where there is no file; otherwise the error says what is wrong with it. One
/// of a newer version is set aside as offsets.newer: another version of the agent will want it.
Result<Offsets> load_offsets(Folder& folder);

Result<void> save_offsets(Folder& folder, const Offsets& offsets);

/// "1234,1240-1250": as in the file.
std::string offset_text(const Offset& offset);

}  // namespace msp::queue
