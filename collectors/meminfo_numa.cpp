// meminfo_numa: the memory of each NUMA node, from /sys/devices/system/node/nodeN/meminfo:
//   Node 0 MemTotal:       24684096 kB
//   Node 0 Active(anon):        445 kB
// and where its pages were wanted, from nodeN/numastat (Documentation/admin-guide/numastat.rst):
//   numa_hit 9120331
// The fields are those of the kernels up to 6.18; what another one has is skipped. The names of the
// metrics have no unit, as node_exporter has it.
#include <deque>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/named_fields.h"
#include "collectors/number_file.h"
#include "collectors/numbered_entries.h"
#include "collectors/optional_file.h"

namespace msp::collectors {
namespace {

#define MSP_NUMA(field, file, type)                                      \
  {                                                                      \
    "node_memory_numa_" field, "Memory information field " field ".",    \
        "/sys/devices/system/node/nodeN/" file, MetricType::type, "node" \
  }
#define MSP_MEMORY(field) MSP_NUMA(field, "meminfo", gauge)
#define MSP_NUMASTAT(field) MSP_NUMA(field "_total", "numastat", counter)
// clang-format off
constexpr MetricDesc kMetrics[] = {
    MSP_MEMORY("Active"), MSP_MEMORY("Active_anon"), MSP_MEMORY("Active_file"),
    MSP_MEMORY("AnonHugePages"), MSP_MEMORY("AnonPages"), MSP_MEMORY("Balloon"),
    MSP_MEMORY("Bounce"), MSP_MEMORY("Dirty"), MSP_MEMORY("FileHugePages"),
    MSP_MEMORY("FilePages"), MSP_MEMORY("FilePmdMapped"), MSP_MEMORY("GPUActive"),
    MSP_MEMORY("GPUReclaim"), MSP_MEMORY("HugePages_Free"), MSP_MEMORY("HugePages_Surp"),
    MSP_MEMORY("HugePages_Total"), MSP_MEMORY("Inactive"), MSP_MEMORY("Inactive_anon"),
    MSP_MEMORY("Inactive_file"), MSP_MEMORY("KReclaimable"), MSP_MEMORY("KernelStack"),
    MSP_MEMORY("Mapped"), MSP_MEMORY("MemFree"), MSP_MEMORY("MemTotal"), MSP_MEMORY("MemUsed"),
    MSP_MEMORY("Mlocked"), MSP_MEMORY("NFS_Unstable"), MSP_MEMORY("PageTables"),
    MSP_MEMORY("SReclaimable"), MSP_MEMORY("SUnreclaim"), MSP_MEMORY("SecPageTables"),
    MSP_MEMORY("ShadowCallStack"), MSP_MEMORY("Shmem"), MSP_MEMORY("ShmemHugePages"),
    MSP_MEMORY("ShmemPmdMapped"), MSP_MEMORY("Slab"), MSP_MEMORY("SwapCached"),
    MSP_MEMORY("Unaccepted"), MSP_MEMORY("Unevictable"), MSP_MEMORY("Writeback"),
    MSP_MEMORY("WritebackTmp"), MSP_NUMASTAT("interleave_hit"), MSP_NUMASTAT("local_node"),
    MSP_NUMASTAT("numa_foreign"), MSP_NUMASTAT("numa_hit"), MSP_NUMASTAT("numa_miss"),
    MSP_NUMASTAT("other_node"),
};
// clang-format on
#undef MSP_NUMASTAT
#undef MSP_MEMORY
#undef MSP_NUMA
constexpr FieldTable kTable{"node_memory_numa_", kMetrics};
static_assert(kTable.is_sorted());

class MeminfoNuma : public Collector {
 public:
  explicit MeminfoNuma(const CollectorContext& context)
      : context_(context),
        folder_(context.paths.sys("devices/system/node")),
        online_(context, folder_ + "/online", KeptFile::End::short_read) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    learn_nodes(tick, out);
    std::size_t number = 0;
    for (auto& node : nodes_) {
      const bool stays_open = ++number * 2 <= NumberFile::kKeptMax;
      NamedFields fields(kTable, out);
      if (const auto content = node.meminfo.read(tick, out, "its memory")) {
        add_memory(node, *content, fields, out.complaints());
      }
      if (const auto content = node.numastat.read(tick, out, "its counters")) {
        add_counters(node, *content, fields);
      }
      if (stays_open) continue;
      node.meminfo.close();
      node.numastat.close();
    }
    if (nodes_.empty()) return no_data(cat(folder_, ": no NUMA node"));
    return {};
  }

 private:
  struct Node {
    std::string number;
    OptionalFile meminfo;
    OptionalFile numastat;
  };

  /// Nodes come and go with their memory, which is rare: they are looked for when others are
  /// online.
  void learn_nodes(const Tick& tick, SeriesWriter& out) {
    const auto online = online_.read(tick, out, "a change of the nodes").value_or("");
    if (is_known_ && online == known_online_) return;
    is_known_ = true;
    known_online_ = online;
    nodes_.clear();
    for (const auto& name : numbered_entries(folder_, "node")) {
      const auto path = cat(folder_, "/", name);
      nodes_.push_back({name.substr(4), OptionalFile(context_, path + "/meminfo"),
                        OptionalFile(context_, path + "/numastat")});
    }
  }

  static void add_memory(const Node& node, std::string_view rest, NamedFields& fields,
                         metrics::Complaints& complaints) {
    while (auto line = next_line(rest)) {
      const auto whole = *line;
      const bool is_node = next_word(*line) == "Node" && next_word(*line) == node.number;
      auto key = next_word(*line);
      const auto word = next_word(*line);
      const auto unit = next_word(*line);
      if (!is_node || !key.ends_with(':') || (!unit.empty() && unit != "kB")) {
        complaints.garbled(node.meminfo.path(), whole, "'Node N key: number kB'", {"a line"});
        continue;
      }
      key.remove_suffix(1);
      std::string_view group;
      if (const auto open = key.find('('); open != key.npos && key.ends_with(')')) {
        group = key.substr(0, open);
        key = key.substr(open + 1, key.size() - open - 2);
      }
      fields.add(node.meminfo.path(), group, key, word, {node.number}, unit.empty() ? 1 : 1024);
    }
  }

  static void add_counters(const Node& node, std::string_view rest, NamedFields& fields) {
    while (auto line = next_line(rest)) {
      const auto key = next_word(*line);
      fields.add(node.numastat.path(), key, "total", next_word(*line), {node.number});
    }
  }

  const CollectorContext context_;
  const std::string folder_;
  OptionalFile online_;
  std::string known_online_;
  bool is_known_ = false;
  std::deque<Node> nodes_;
};

}  // namespace

CollectorType meminfo_numa_collector() {
  return {make_collector<MeminfoNuma>};
}

}  // namespace msp::collectors
