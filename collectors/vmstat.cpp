// vmstat: paging, swapping, page faults and kills for lack of memory since the boot, from
// /proc/vmstat (proc(5)):
//   pgfault 1296110
// A kernel that does not count one has no line of it.
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/named_fields.h"

namespace msp::collectors {
namespace {

#define MSP_VMSTAT(field)                                                              \
  {                                                                                    \
    "node_vmstat_" field, "/proc/vmstat information field " field ".", "/proc/vmstat", \
        MetricType::untyped                                                            \
  }
constexpr MetricDesc kMetrics[] = {
    MSP_VMSTAT("oom_kill"), MSP_VMSTAT("pgfault"), MSP_VMSTAT("pgmajfault"), MSP_VMSTAT("pgpgin"),
    MSP_VMSTAT("pgpgout"),  MSP_VMSTAT("pswpin"),  MSP_VMSTAT("pswpout"),
};
#undef MSP_VMSTAT
constexpr FieldTable kTable{"node_vmstat_", kMetrics};
static_assert(kTable.is_sorted());

class Vmstat : public Collector {
 public:
  explicit Vmstat(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("vmstat"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    NamedFields fields(kTable, out);
    std::size_t place = 0;
    for (auto rest = *content; auto line = next_line(rest);) {
      if (!line->starts_with('p') && !line->starts_with('o')) continue;
      const auto name = next_word(*line);
      const auto* const metric = known_.at(place++, kTable, {}, name);
      if (metric != nullptr) fields.add(file_->path(), *metric, next_word(*line));
    }
    if (out.samples() > 0) return {};
    return failed(cat(file_->path(), ": no known field with a count", got(*content)));
  }

 private:
  std::shared_ptr<KeptFile> file_;
  KnownFields known_;
};

}  // namespace

CollectorType vmstat_collector() {
  return {make_collector<Vmstat>};
}

}  // namespace msp::collectors
