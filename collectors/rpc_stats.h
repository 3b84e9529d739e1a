// The counters of /proc/net/rpc/nfs and /proc/net/rpc/nfsd, in which a line has a name and numbers
// (net/sunrpc/stats.c, fs/nfsd/stats.c):
//   net 70 70 69 45
//   proc3 22 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
// The lines of procedures say first how many there are.
#pragma once

#include <span>
#include <string_view>

#include "agent/base/result.h"
#include "collectors/vocabulary.h"

namespace msp::collectors {

struct RpcColumn {
  const MetricDesc* metric = nullptr;  // null: not sent
  std::string_view label = {};         // the value of its label; empty: it has none
  std::string_view second = {};        // of its second label; empty: it has none
};

struct RpcLine {
  std::string_view name;
  std::span<const RpcColumn> columns;
};

struct RpcProcedures {
  std::string_view line;
  std::string_view version;  // of the protocol: "3"
  std::string_view
      methods;  // by number, a word each; "-": not sent. A kernel may have fewer or more
};

struct RpcTable {
  std::span<const RpcLine> lines;
  std::span<const RpcProcedures> procedures;
  const MetricDesc& requests;  // of proto and method
};

/// What is garbled costs that number, or, where not all of its numbers are there, its line. An
/// error where there is none of the lines.
Result<void> add_rpc_stats(std::string_view path, std::string_view content, const RpcTable& table,
                           SeriesWriter& out);

}  // namespace msp::collectors
