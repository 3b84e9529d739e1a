// slabinfo: the caches of the kernel's allocator, from /proc/slabinfo (mm/slab_common.c):
//   slabinfo - version: 2.1
//   # name  <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> ...
//   kmalloc-64   16184  16512  64  64  1 : tunables  0  0  0 : slabdata  258  258  0
// Only root may read it: the systemd unit's user has no data.
#include <unistd.h>

#include <cerrno>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/device_list.h"

namespace msp::collectors {
namespace {

#define MSP_SLAB(name, help) \
  { "node_slabinfo_" name, help, "/proc/slabinfo", MetricType::gauge, "slab" }
// In the order of the columns.
constexpr MetricDesc kColumns[] = {
    MSP_SLAB("active_objects", "The number of objects that are currently active (i.e., in use)."),
    MSP_SLAB("objects",
             "The total number of allocated objects (i.e., objects that are both in use and not in "
             "use)."),
    MSP_SLAB("object_size_bytes", "The size of objects in this slab, in bytes."),
    MSP_SLAB("objects_per_slab", "The number of objects stored in each slab."),
    MSP_SLAB("pages_per_slab", "The number of pages allocated for each slab."),
};
#undef MSP_SLAB

class Slabinfo : public Collector {
 public:
  explicit Slabinfo(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("slabinfo"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    if (::access(file_->path().c_str(), R_OK) != 0) {
      return no_data(cat(file_->path(), ": ", errno_text(errno)));
    }
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    auto rest = *content;
    const auto first = next_line(rest).value_or("");
    if (!first.starts_with("slabinfo - version: ")) {
      return failed(cat(file_->path(), " line 1: expected 'slabinfo - version: '", got(first)));
    }
    slabs_.begin_tick();
    while (const auto line = next_line(rest)) {
      if (!line->starts_with('#')) add(*line, out);
    }
    slabs_.end_tick();
    return {};
  }

 private:
  void add(std::string_view line, SeriesWriter& out) {
    auto rest = line;
    const auto name = next_word(rest);
    if (words_in(rest) < std::size(kColumns) || !is_printable(name)) {
      return out.complaints().garbled(file_->path(), line, "the line of a slab", {"a line"});
    }
    if (slabs_.next(name, NamedDevice::make) == nullptr) {
      return out.complaints().repeated(file_->path(), name);
    }
    for (const auto& column : kColumns) {
      const auto word = next_word(rest);
      if (const auto number = parse_number<std::uint64_t>(word)) {
        out.add(column, {name}, static_cast<double>(*number));
      } else {
        out.complaints().garbled(file_->path(), word, "a count", {column.name, {name}});
      }
    }
  }

  const std::shared_ptr<KeptFile> file_;
  DeviceList<NamedDevice> slabs_;
};

}  // namespace

CollectorType slabinfo_collector() {
  return {.make = make_collector<Slabinfo>,
          .costly = "the kernel counts the objects of each slab under a lock"};
}

}  // namespace msp::collectors
