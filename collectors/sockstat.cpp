// sockstat: sockets in use and the memory they have, from /proc/net/sockstat and
// /proc/net/sockstat6, which a host without IPv6 does not have (proc(5)):
//   sockets: used 293
//   TCP: inuse 21 orphan 0 tw 4 alloc 41 mem 5
//   FRAG: inuse 0 memory 0
// "mem" is in pages, and sent in bytes as well.
#include <unistd.h>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/named_fields.h"
#include "collectors/optional_file.h"

namespace msp::collectors {
namespace {

#define MSP_SOCKSTAT(protocol, state, file)                                                    \
  {                                                                                            \
    "node_sockstat_" protocol "_" state, "Number of " protocol " sockets in state " state ".", \
        "/proc/net/" file                                                                      \
  }
// clang-format off
constexpr MetricDesc kMetrics[] = {
    MSP_SOCKSTAT("FRAG6", "inuse", "sockstat6"),
    MSP_SOCKSTAT("FRAG6", "memory", "sockstat6"),
    MSP_SOCKSTAT("FRAG", "inuse", "sockstat"),
    MSP_SOCKSTAT("FRAG", "memory", "sockstat"),
    MSP_SOCKSTAT("RAW6", "inuse", "sockstat6"),
    MSP_SOCKSTAT("RAW", "inuse", "sockstat"),
    MSP_SOCKSTAT("TCP6", "inuse", "sockstat6"),
    MSP_SOCKSTAT("TCP", "alloc", "sockstat"),
    MSP_SOCKSTAT("TCP", "inuse", "sockstat"),
    MSP_SOCKSTAT("TCP", "mem", "sockstat"),
    MSP_SOCKSTAT("TCP", "mem_bytes", "sockstat"),
    MSP_SOCKSTAT("TCP", "orphan", "sockstat"),
    MSP_SOCKSTAT("TCP", "tw", "sockstat"),
    MSP_SOCKSTAT("UDP6", "inuse", "sockstat6"),
    MSP_SOCKSTAT("UDPLITE6", "inuse", "sockstat6"),
    MSP_SOCKSTAT("UDPLITE", "inuse", "sockstat"),
    MSP_SOCKSTAT("UDP", "inuse", "sockstat"),
    MSP_SOCKSTAT("UDP", "mem", "sockstat"),
    MSP_SOCKSTAT("UDP", "mem_bytes", "sockstat"),
    {"node_sockstat_sockets_used", "Number of IPv4 sockets in use.", "/proc/net/sockstat"},
};
// clang-format on
#undef MSP_SOCKSTAT
constexpr FieldTable kTable{"node_sockstat_", kMetrics};
static_assert(kTable.is_sorted());

class Sockstat : public Collector {
 public:
  explicit Sockstat(const CollectorContext& context)
      : page_bytes_(static_cast<double>(::sysconf(_SC_PAGESIZE))),
        files_{{context, context.paths.proc("net/sockstat"), KeptFile::End::short_read},
               {context, context.paths.proc("net/sockstat6"), KeptFile::End::short_read}} {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    NamedFields fields(kTable, out);
    for (auto& file : files_) {
      if (const auto content = file.read(tick, out, "what it counts")) {
        add_lines(file.path(), *content, fields, out.complaints());
      }
    }
    if (out.samples() > 0) return {};
    const auto& path = files_[0].path();
    if (files_[0].is_missing() && files_[1].is_missing())
      return no_data(cat(path, ": no such file"));
    for (const auto& file : files_) {
      if (!file.failure().empty()) return failed(file.failure());
    }
    return failed(cat(path, ": no known protocol with a count"));
  }

 private:
  void add_lines(const std::string& path, std::string_view rest, NamedFields& fields,
                 metrics::Complaints& complaints) const {
    while (auto line = next_line(rest)) {
      const auto whole = *line;
      auto protocol = next_word(*line);
      if (!protocol.ends_with(':') || !is_printable(protocol)) {
        complaints.garbled(path, whole, "'protocol: counts'", {"a line"});
        continue;
      }
      protocol.remove_suffix(1);
      for (auto name = next_word(*line); !name.empty(); name = next_word(*line)) {
        const auto word = next_word(*line);
        const auto count = fields.add(path, protocol, name, word);
        if (count && name == "mem") fields.add(path, protocol, "mem_bytes", word, {}, page_bytes_);
      }
    }
  }

  const double page_bytes_;
  OptionalFile files_[2];
};

}  // namespace

CollectorType sockstat_collector() {
  return {make_collector<Sockstat>};
}

}  // namespace msp::collectors
