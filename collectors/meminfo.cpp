// meminfo: /proc/meminfo (proc(5)):
//   MemTotal:       24684096 kB
//   HugePages_Total:       0
// The fields are those that node_exporter knows; what else a kernel has (KReclaimable, Balloon,
// ...) is skipped.
//
// A kernel writes the same lines in the same order for as long as it runs. So each line is expected
// to have the key that it had in the last tick, and a tick costs a comparison and a number per
// line.
#include <algorithm>
#include <bitset>
#include <cstdint>
#include <iterator>
#include <optional>
#include <vector>

#include "agent/base/text.h"
#include "collectors/collector.h"

namespace msp::collectors {
namespace {

struct Field {
  std::string_view key;
  MetricDesc family;
  bool is_count = false;  // of pages, never of bytes
};

constexpr Field bytes(std::string_view key, std::string_view name, std::string_view help) {
  return {key, {name, help, "/proc/meminfo"}};
}
constexpr Field count(std::string_view key, std::string_view name, std::string_view help) {
  return {key, {name, help, "/proc/meminfo"}, true};
}

// clang-format off
constexpr Field kFields[] = {
    bytes("MemTotal", "node_memory_MemTotal_bytes", "Memory information field MemTotal_bytes."),
    bytes("MemFree", "node_memory_MemFree_bytes", "Memory information field MemFree_bytes."),
    bytes("MemAvailable", "node_memory_MemAvailable_bytes", "Memory information field MemAvailable_bytes."),
    bytes("Buffers", "node_memory_Buffers_bytes", "Memory information field Buffers_bytes."),
    bytes("Cached", "node_memory_Cached_bytes", "Memory information field Cached_bytes."),
    bytes("SwapCached", "node_memory_SwapCached_bytes", "Memory information field SwapCached_bytes."),
    bytes("Active", "node_memory_Active_bytes", "Memory information field Active_bytes."),
    bytes("Inactive", "node_memory_Inactive_bytes", "Memory information field Inactive_bytes."),
    bytes("Active(anon)", "node_memory_Active_anon_bytes", "Memory information field Active_anon_bytes."),
    bytes("Inactive(anon)", "node_memory_Inactive_anon_bytes", "Memory information field Inactive_anon_bytes."),
    bytes("Active(file)", "node_memory_Active_file_bytes", "Memory information field Active_file_bytes."),
    bytes("Inactive(file)", "node_memory_Inactive_file_bytes", "Memory information field Inactive_file_bytes."),
    bytes("Unevictable", "node_memory_Unevictable_bytes", "Memory information field Unevictable_bytes."),
    bytes("Mlocked", "node_memory_Mlocked_bytes", "Memory information field Mlocked_bytes."),
    bytes("SwapTotal", "node_memory_SwapTotal_bytes", "Memory information field SwapTotal_bytes."),
    bytes("SwapFree", "node_memory_SwapFree_bytes", "Memory information field SwapFree_bytes."),
    bytes("Zswap", "node_memory_Zswap_bytes", "Memory information field Zswap_bytes."),
    bytes("Zswapped", "node_memory_Zswapped_bytes", "Memory information field Zswapped_bytes."),
    bytes("Dirty", "node_memory_Dirty_bytes", "Memory information field Dirty_bytes."),
    bytes("Writeback", "node_memory_Writeback_bytes", "Memory information field Writeback_bytes."),
    bytes("AnonPages", "node_memory_AnonPages_bytes", "Memory information field AnonPages_bytes."),
    bytes("Mapped", "node_memory_Mapped_bytes", "Memory information field Mapped_bytes."),
    bytes("Shmem", "node_memory_Shmem_bytes", "Memory information field Shmem_bytes."),
    bytes("Slab", "node_memory_Slab_bytes", "Memory information field Slab_bytes."),
    bytes("SReclaimable", "node_memory_SReclaimable_bytes", "Memory information field SReclaimable_bytes."),
    bytes("SUnreclaim", "node_memory_SUnreclaim_bytes", "Memory information field SUnreclaim_bytes."),
    bytes("KernelStack", "node_memory_KernelStack_bytes", "Memory information field KernelStack_bytes."),
    bytes("PageTables", "node_memory_PageTables_bytes", "Memory information field PageTables_bytes."),
    bytes("NFS_Unstable", "node_memory_NFS_Unstable_bytes", "Memory information field NFS_Unstable_bytes."),
    bytes("Bounce", "node_memory_Bounce_bytes", "Memory information field Bounce_bytes."),
    bytes("WritebackTmp", "node_memory_WritebackTmp_bytes", "Memory information field WritebackTmp_bytes."),
    bytes("CommitLimit", "node_memory_CommitLimit_bytes", "Memory information field CommitLimit_bytes."),
    bytes("Committed_AS", "node_memory_Committed_AS_bytes", "Memory information field Committed_AS_bytes."),
    bytes("VmallocTotal", "node_memory_VmallocTotal_bytes", "Memory information field VmallocTotal_bytes."),
    bytes("VmallocUsed", "node_memory_VmallocUsed_bytes", "Memory information field VmallocUsed_bytes."),
    bytes("VmallocChunk", "node_memory_VmallocChunk_bytes", "Memory information field VmallocChunk_bytes."),
    bytes("Percpu", "node_memory_Percpu_bytes", "Memory information field Percpu_bytes."),
    bytes("HardwareCorrupted", "node_memory_HardwareCorrupted_bytes", "Memory information field HardwareCorrupted_bytes."),
    bytes("AnonHugePages", "node_memory_AnonHugePages_bytes", "Memory information field AnonHugePages_bytes."),
    bytes("ShmemHugePages", "node_memory_ShmemHugePages_bytes", "Memory information field ShmemHugePages_bytes."),
    bytes("ShmemPmdMapped", "node_memory_ShmemPmdMapped_bytes", "Memory information field ShmemPmdMapped_bytes."),
    bytes("CmaTotal", "node_memory_CmaTotal_bytes", "Memory information field CmaTotal_bytes."),
    bytes("CmaFree", "node_memory_CmaFree_bytes", "Memory information field CmaFree_bytes."),
    count("HugePages_Total", "node_memory_HugePages_Total", "Memory information field HugePages_Total."),
    count("HugePages_Free", "node_memory_HugePages_Free", "Memory information field HugePages_Free."),
    count("HugePages_Rsvd", "node_memory_HugePages_Rsvd", "Memory information field HugePages_Rsvd."),
    count("HugePages_Surp", "node_memory_HugePages_Surp", "Memory information field HugePages_Surp."),
    bytes("Hugepagesize", "node_memory_Hugepagesize_bytes", "Memory information field Hugepagesize_bytes."),
    bytes("DirectMap4k", "node_memory_DirectMap4k_bytes", "Memory information field DirectMap4k_bytes."),
    bytes("DirectMap2M", "node_memory_DirectMap2M_bytes", "Memory information field DirectMap2M_bytes."),
    bytes("DirectMap1G", "node_memory_DirectMap1G_bytes", "Memory information field DirectMap1G_bytes."),
};
// clang-format on

class Meminfo : public Collector {
 public:
  explicit Meminfo(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("meminfo"), KeptFile::End::short_read)) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    is_found_.reset();
    auto rest = *content;
    for (std::size_t number = 0; !rest.empty(); ++number) {
      if (number == lines_.size()) lines_.emplace_back();
      auto& known = lines_[number];
      const auto line = rest;  // and what follows it
      if (!known.matches(line) && !learn(line, known)) {
        out.complaints().garbled(file_->path(), *next_line(rest), "a key, a number and kB",
                                 {"a line"});
        continue;
      }
      if (known.field == nullptr) {
        next_line(rest);
        continue;
      }
      add_value(known, rest, out);
    }
    if (out.samples() == 0)
      return failed(cat(file_->path(), ": no known field with a size", got(*content)));
    return {};
  }

 private:
  struct Line {
    std::string key;
    const Field* field = nullptr;  // null: skipped

    bool matches(std::string_view text) const {
      return text.size() > key.size() && text[key.size()] == ':' && text.starts_with(key);
    }
  };

  /// False where the first line of `text` has no key.
  static bool learn(std::string_view text, Line& line) {
    const auto end = text.find_first_of(":\n");
    if (end == text.npos || text[end] != ':' || text.substr(0, end).find('\0') != text.npos) {
      return false;
    }
    line.key = text.substr(0, end);
    const auto* const field = std::find_if(std::begin(kFields), std::end(kFields),
                                           [&](const Field& f) { return f.key == line.key; });
    line.field = field == std::end(kFields) ? nullptr : field;
    return true;
  }

  /// Takes the line off the front of `rest`, whose key is known.
  void add_value(const Line& line, std::string_view& rest, SeriesWriter& out) {
    rest.remove_prefix(line.key.size() + 1);
    const auto text = rest;
    const auto value = take_value(rest, *line.field);
    const auto index = static_cast<std::size_t>(line.field - kFields);
    if (is_found_[index]) {
      out.complaints().repeated(file_->path(), line.key);
    } else if (value) {
      out.add(line.field->family, *value);
    } else {
      out.complaints().garbled(file_->path(), trim(text.substr(0, text.find('\n'))),
                               line.field->is_count ? "a count" : "a size",
                               {line.field->family.name});
    }
    is_found_.set(index);
  }

  /// Takes "       24684096 kB" and its newline off the front of `rest`; the unit may be missing.
  /// Bytes beyond 2^64 are a number below 0 that the kernel counted down to.
  static std::optional<double> take_value(std::string_view& rest, const Field& field) {
    const char* at = rest.data();
    const char* const end = at + rest.size();
    while (at != end && *at == ' ') ++at;
    std::uint64_t number = 0;
    const auto [after, error] = std::from_chars(at, end, number);
    if (error == std::errc{}) {
      const std::string_view unit(after, static_cast<std::size_t>(end - after));
      const bool is_kb = unit.starts_with(" kB");
      const auto line_end = is_kb ? std::size_t{3} : 0;
      if (unit.size() == line_end || unit[line_end] == '\n') {
        rest = unit.substr(std::min(line_end + 1, unit.size()));
        if (!is_kb || field.is_count) return static_cast<double>(number);
        if (number > UINT64_MAX / 1024) return std::nullopt;
        return static_cast<double>(number) * 1024;
      }
    }
    next_line(rest);
    return std::nullopt;
  }

  std::shared_ptr<KeptFile> file_;
  std::vector<Line> lines_;
  std::bitset<std::size(kFields)> is_found_;  // in this tick
};

}  // namespace

CollectorType meminfo_collector() {
  return {make_collector<Meminfo>};
}

}  // namespace msp::collectors
