// Which scrape each endpoint wants next, kept across restarts in one small text file:
//   msp-agent cursors 1
//   1234 https://monitor.example.com/api/v1/write
//   checksum 1234567890                 (XXH3-64 of all lines before)
// Replaced by rename, so that it is always whole. It may be older than the truth, never newer: then
// an endpoint gets some samples a second time, with the same timestamps and values, which receivers
// take as one.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "agent/buffer/file_system.h"

namespace msp {

/// Endpoint name -> sequence of the first scrape that it has not acknowledged.
using Cursors = std::map<std::string, std::uint64_t>;

/// None where there is no file, or one that is damaged: the error says so.
Result<Cursors> load_cursors(FileSystem& files, const std::string& folder);

Result<void> save_cursors(FileSystem& files, const std::string& folder, const Cursors& cursors);

}  // namespace msp
