// zoneinfo: the pages of each zone of memory and what has been done with them, from /proc/zoneinfo
// (proc(5)):
//   Node 0, zone      DMA
//     per-node stats
//         nr_inactive_anon 565166
//     pages free     2811
//           min      10
//           protection: (0, 1959, 23925, 23925, 23925)
//         nr_free_pages 2811
// What a node has as a whole stands in its first zone.
#include <algorithm>
#include <bitset>
#include <iterator>
#include <string>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/device_list.h"
#include "collectors/label_text.h"

namespace msp::collectors {
namespace {

struct Field {
  std::string_view key;
  MetricDesc family;
};

#define MSP_ZONEINFO(key, name, help, type)                                        \
  {                                                                                \
    key, {                                                                         \
      "node_zoneinfo_" name, help, "/proc/zoneinfo", MetricType::type, "node,zone" \
    }                                                                              \
  }
// clang-format off
constexpr Field kFields[] = {  // by key
    MSP_ZONEINFO("high", "high_pages", "Zone watermark pages_high", gauge),
    MSP_ZONEINFO("low", "low_pages", "Zone watermark pages_low", gauge),
    MSP_ZONEINFO("managed", "managed_pages", "Present pages managed by the buddy system", gauge),
    MSP_ZONEINFO("min", "min_pages", "Zone watermark pages_min", gauge),
    MSP_ZONEINFO("nr_active_anon", "nr_active_anon_pages", "Number of anonymous pages recently more used", gauge),
    MSP_ZONEINFO("nr_active_file", "nr_active_file_pages", "Number of active pages with file-backing", gauge),
    MSP_ZONEINFO("nr_anon_pages", "nr_anon_pages", "Number of anonymous pages currently used by the system", gauge),
    MSP_ZONEINFO("nr_anon_transparent_hugepages", "nr_anon_transparent_hugepages", "Number of anonymous transparent huge pages currently used by the system", gauge),
    MSP_ZONEINFO("nr_dirtied", "nr_dirtied_total", "Page dirtyings since bootup", counter),
    MSP_ZONEINFO("nr_dirty", "nr_dirty_pages", "Number of dirty pages", gauge),
    MSP_ZONEINFO("nr_file_pages", "nr_file_pages", "Number of file pages", gauge),
    MSP_ZONEINFO("nr_free_pages", "nr_free_pages", "Total number of free pages in the zone", gauge),
    MSP_ZONEINFO("nr_inactive_anon", "nr_inactive_anon_pages", "Number of anonymous pages recently less used", gauge),
    MSP_ZONEINFO("nr_inactive_file", "nr_inactive_file_pages", "Number of inactive pages with file-backing", gauge),
    MSP_ZONEINFO("nr_isolated_anon", "nr_isolated_anon_pages", "Temporary isolated pages from anon lru", gauge),
    MSP_ZONEINFO("nr_isolated_file", "nr_isolated_file_pages", "Temporary isolated pages from file lru", gauge),
    MSP_ZONEINFO("nr_kernel_stack", "nr_kernel_stacks", "Number of kernel stacks", gauge),
    MSP_ZONEINFO("nr_mapped", "nr_mapped_pages", "Number of mapped pages", gauge),
    MSP_ZONEINFO("nr_mlock_stack", "nr_mlock_stack_pages", "mlock()ed pages found and moved off LRU", gauge),
    MSP_ZONEINFO("nr_shmem", "nr_shmem_pages", "Number of shmem pages (included tmpfs/GEM pages)", gauge),
    MSP_ZONEINFO("nr_slab_reclaimable", "nr_slab_reclaimable_pages", "Number of reclaimable slab pages", gauge),
    MSP_ZONEINFO("nr_slab_unreclaimable", "nr_slab_unreclaimable_pages", "Number of unreclaimable slab pages", gauge),
    MSP_ZONEINFO("nr_unevictable", "nr_unevictable_pages", "Number of unevictable pages", gauge),
    MSP_ZONEINFO("nr_writeback", "nr_writeback_pages", "Number of writeback pages", gauge),
    MSP_ZONEINFO("nr_written", "nr_written_total", "Page writings since bootup", counter),
    MSP_ZONEINFO("numa_foreign", "numa_foreign_total", "Was intended here, hit elsewhere", counter),
    MSP_ZONEINFO("numa_hit", "numa_hit_total", "Allocated in intended node", counter),
    MSP_ZONEINFO("numa_interleave", "numa_interleave_total", "Interleaver preferred this zone", counter),
    MSP_ZONEINFO("numa_local", "numa_local_total", "Allocation from local node", counter),
    MSP_ZONEINFO("numa_miss", "numa_miss_total", "Allocated in non intended node", counter),
    MSP_ZONEINFO("numa_other", "numa_other_total", "Allocation from other node", counter),
    MSP_ZONEINFO("present", "present_pages", "Physical pages existing within the zone", gauge),
    MSP_ZONEINFO("scanned", "scanned_pages", "Pages scanned since last reclaim", gauge),
    MSP_ZONEINFO("spanned", "spanned_pages", "Total pages spanned by the zone, including holes", gauge),
};
// One per zone that a kernel can have.
#define MSP_PROTECTION(number) \
  MSP_ZONEINFO("protection", "protection_" number, "Protection array " number ". field", gauge)
constexpr Field kProtections[] = {
    MSP_PROTECTION("0"), MSP_PROTECTION("1"), MSP_PROTECTION("2"),
    MSP_PROTECTION("3"), MSP_PROTECTION("4"), MSP_PROTECTION("5"),
};
// clang-format on
#undef MSP_PROTECTION
#undef MSP_ZONEINFO
static_assert(std::ranges::is_sorted(kFields, {}, &Field::key));

class Zoneinfo : public Collector {
 public:
  explicit Zoneinfo(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("zoneinfo"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    zones_.begin_tick();
    has_zone_ = false;
    for (auto rest = *content; auto line = next_line(rest);) {
      const auto whole = *line;
      const auto key = next_word(*line);
      if (key == "Node") {
        begin_zone(whole, *line, out.complaints());
      } else if (has_zone_ && key == "protection:") {
        add_protection(*line, out);
      } else if (has_zone_) {
        add_field(key, *line, out);
      }
    }
    zones_.end_tick();
    if (out.samples() > 0) return {};
    return failed(cat(file_->path(), ": no zone with a count", got(*content)));
  }

 private:
  /// "Node 0, zone      DMA": without it, what follows is nobody's.
  void begin_zone(std::string_view line, std::string_view rest, metrics::Complaints& complaints) {
    node_ = next_word(rest);
    const bool is_zone = next_word(rest) == "zone";
    zone_ = next_word(rest);
    const bool has_number =
        node_.ends_with(',') && parse_number<unsigned>(node_.substr(0, node_.size() - 1));
    has_zone_ = has_number && is_zone && !zone_.empty() && !has_control(zone_);
    is_found_.reset();
    if (!has_zone_) {
      complaints.garbled(file_->path(), line, "'Node N, zone NAME'", {"what follows it"});
      return;
    }
    node_.remove_suffix(1);
    has_zone_ = zones_.next(line, NamedDevice::make) != nullptr;
    if (!has_zone_) complaints.repeated(file_->path(), line);
  }

  void add_field(std::string_view key, std::string_view rest, SeriesWriter& out) {
    const auto* const field = std::ranges::lower_bound(kFields, key, {}, &Field::key);
    if (field == std::end(kFields) || field->key != key) return;
    const auto index = static_cast<std::size_t>(field - kFields);
    if (is_found_[index]) {
      out.complaints().repeated(file_->path(), key);
      return;
    }
    is_found_.set(index);
    add(*field, next_word(rest), out);
  }

  /// "(0, 1959, 23925, 23925, 23925)"
  void add_protection(std::string_view text, SeriesWriter& out) {
    if (is_found_[std::size(kFields)]) {
      out.complaints().repeated(file_->path(), "protection");
      return;
    }
    is_found_.set(std::size(kFields));
    text = trim(text);
    if (text.starts_with('(')) text.remove_prefix(1);
    if (text.ends_with(')')) text.remove_suffix(1);
    for (const auto& field : kProtections) {
      auto word = next_word(text);
      if (word.empty()) return;
      if (word.ends_with(',')) word.remove_suffix(1);
      add(field, word, out);
    }
  }

  void add(const Field& field, std::string_view word, SeriesWriter& out) const {
    if (const auto count = parse_number<std::uint64_t>(word)) {
      out.add(field.family, {node_, zone_}, static_cast<double>(*count));
    } else {
      out.complaints().garbled(file_->path(), word, "a count",
                               {field.family.name, {"node ", node_, " zone ", zone_}});
    }
  }

  std::shared_ptr<KeptFile> file_;
  DeviceList<NamedDevice> zones_;
  bool has_zone_ = false;  // the lines are those of a zone that counts
  std::string_view node_;  // of it, as zone_
  std::string_view zone_;
  std::bitset<std::size(kFields) + 1> is_found_;  // in the zone; the last: its protection
};

}  // namespace

CollectorType zoneinfo_collector() {
  return {make_collector<Zoneinfo>};
}

}  // namespace msp::collectors
