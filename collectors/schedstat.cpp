// schedstat: how long tasks ran on each cpu and waited for it, in nanoseconds, and in how many turns,
// from /proc/schedstat (Documentation/scheduler/sched-stats.rst), versions 15 to 17:
//   cpu0 0 0 0 0 0 0 498494191 20014172 1046
//   domain0 ff 0 0 ...
// Many kernels are built without it.
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/device_list.h"
#include "collectors/proc_stat.h"

namespace msp::collectors {
namespace {

struct Column {
  MetricDesc family;
  double per_unit;
};
constexpr Column column(std::string_view name, std::string_view help, double per_unit) {
  return {{name, help, "/proc/schedstat", MetricType::counter, "cpu"}, per_unit};
}
constexpr std::size_t kFirst = 6;  // the columns before are of no use since CFS
constexpr Column kColumns[] = {
    column("node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.",
           1e9),
    column("node_schedstat_waiting_seconds_total",
           "Number of seconds spent by processing waiting for this CPU.", 1e9),
    column("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", 1),
};
using Line = CountersLine<kFirst + std::size(kColumns)>;

class Schedstat : public Collector {
 public:
  explicit Schedstat(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("schedstat"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    cpus_.begin_tick();
    for (auto rest = *content; const auto line = next_line(rest);) {
      if (line->starts_with("cpu")) {
        add_cpu(line->substr(3), out);
      } else if (auto rest_of_line = *line; !can_be_line_name(next_word(rest_of_line))) {
        out.complaints().garbled(file_->path(), *line, "the line of a cpu", {"a line"});
      }
    }
    cpus_.end_tick();
    if (out.samples() > 0) return {};
    return failed(cat(file_->path(), ": no line of a cpu", got(*content)));
  }

 private:
  /// "0 0 0 0 0 0 0 498494191 20014172 1046": the cpu and its columns.
  void add_cpu(std::string_view text, SeriesWriter& out) {
    auto rest = text;
    const auto cpu = next_word(rest);
    const Line line(rest, kGarbledLater);
    if (!parse_number<unsigned>(cpu) || line.found < kFirst + std::size(kColumns)) {
      out.complaints().garbled(file_->path(), text, "the line of a cpu", {"a line"});
      return;
    }
    if (cpus_.next(cpu, NamedDevice::make) == nullptr) {
      out.complaints().repeated(file_->path(), cpu);
      return;
    }
    for (std::size_t i = 0; i < std::size(kColumns); ++i) {
      const auto& [family, per_unit] = kColumns[i];
      if (line.is_good[kFirst + i]) {
        out.add(family, {cpu}, static_cast<double>(line.values[kFirst + i]) / per_unit);
      } else {
        out.complaints().garbled(file_->path(), word_at(rest, kFirst + i), "a count",
                                 {family.name, {"cpu", cpu}});
      }
    }
  }

  std::shared_ptr<KeptFile> file_;
  DeviceList<NamedDevice> cpus_;
};

}  // namespace

CollectorType schedstat_collector() {
  return {make_collector<Schedstat>};
}

}  // namespace msp::collectors
