// softnet: received packets that each cpu has processed, dropped or left for later, from
// /proc/net/softnet_stat (net/core/net-procfs.c), a line per cpu that is online, hexadecimal:
//   00001fe3 00000000 00000000 0 0 0 0 0 00000000 00000000 00000000 00000000 00000001 ...
// The columns grew in number: 9 (2.6.23), 10 with received_rps, 11 with flow_limit, 13 with the
// backlog and the cpu (5.14). What a kernel does not have is 0, and the cpu then is the line's
// number, as node_exporter has it.
#include <charconv>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/device_list.h"

namespace msp::collectors {
namespace {

struct Column {
  std::size_t index;
  MetricDesc family;
};

constexpr Column column(std::size_t index, std::string_view name, std::string_view help,
                        MetricType type = MetricType::counter) {
  return {index, {name, help, "/proc/net/softnet_stat", type, "cpu"}};
}
constexpr Column kColumns[] = {
    column(0, "node_softnet_processed_total", "Number of processed packets"),
    column(1, "node_softnet_dropped_total", "Number of dropped packets"),
    column(2, "node_softnet_times_squeezed_total",
           "Number of times processing packets ran out of quota"),
    column(8, "node_softnet_cpu_collision_total",
           "Number of collision occur while obtaining device lock while transmitting"),
    column(9, "node_softnet_received_rps_total", "Number of times cpu woken up received_rps"),
    column(10, "node_softnet_flow_limit_count_total",
           "Number of times flow limit has been reached"),
    column(11, "node_softnet_backlog_len", "Softnet backlog status", MetricType::gauge),
};
constexpr std::size_t kCpu = 12;
constexpr std::size_t kLeast = 9;
using Line = CountersLine<kCpu + 1>;

class Softnet : public Collector {
 public:
  explicit Softnet(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("net/softnet_stat"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    cpus_.begin_tick();
    std::uint64_t number = 0;
    for (auto rest = *content; const auto text = next_line(rest);) {
      const Line line(*text, kGarbledLater, 16);
      if (line.found < kLeast || line.is_good.none()) {
        out.complaints().garbled(file_->path(), *text, "9 hexadecimal numbers or more", {"a line"});
        continue;
      }
      add_cpu(line, *text, line.found > kCpu ? line.values[kCpu] : number, out);
      ++number;
    }
    cpus_.end_tick();
    if (out.samples() > 0) return {};
    return failed(cat(file_->path(), ": no line of a cpu", got(*content)));
  }

 private:
  void add_cpu(const Line& line, std::string_view text, std::uint64_t number, SeriesWriter& out) {
    if (line.found > kCpu && !line.is_good[kCpu]) {
      out.complaints().garbled(file_->path(), word_at(text, kCpu), "the number of a cpu",
                               {"a line"});
      return;
    }
    char digits[20];
    const auto* const end = std::to_chars(digits, std::end(digits), number).ptr;
    const std::string_view cpu(digits, static_cast<std::size_t>(end - digits));
    if (cpus_.next(cpu, NamedDevice::make) == nullptr) {
      out.complaints().repeated(file_->path(), cpu);
      return;
    }
    for (const auto& [index, family] : kColumns) {
      if (index >= line.found || line.is_good[index]) {
        out.add(family, {cpu}, index < line.found ? static_cast<double>(line.values[index]) : 0);
      } else {
        out.complaints().garbled(file_->path(), word_at(text, index), "a hexadecimal count",
                                 {family.name, {"cpu", cpu}});
      }
    }
  }

  std::shared_ptr<KeptFile> file_;
  DeviceList<NamedDevice> cpus_;
};

}  // namespace

CollectorType softnet_collector() {
  return {make_collector<Softnet>};
}

}  // namespace msp::collectors
