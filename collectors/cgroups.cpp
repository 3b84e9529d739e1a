// cgroups: control groups per controller, from /proc/cgroups (cgroups(7)):
//   #subsys_name	hierarchy	num_cgroups	enabled
//   memory	4	54	1
// Both metrics have the HELP that node_exporter gives them.
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/device_list.h"
#include "collectors/label_text.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc family(std::string_view name) {
  return {name, "Current cgroup number of the subsystem.", "/proc/cgroups", MetricType::gauge,
          "subsys_name"};
}
constexpr MetricDesc kFamilies[] = {family("node_cgroups_cgroups"), family("node_cgroups_enabled")};

class Cgroups : public Collector {
 public:
  explicit Cgroups(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("cgroups"), KeptFile::End::short_read)) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    controllers_.begin_tick();
    for (auto rest = *content; const auto line = next_line(rest);) {
      if (!line->starts_with('#')) add_controller(*line, out);
    }
    controllers_.end_tick();
    if (out.samples() > 0) return {};
    return failed(cat(file_->path(), ": no line of a controller", got(*content)));
  }

 private:
  void add_controller(std::string_view line, SeriesWriter& out) {
    auto rest = line;
    const auto name = next_word(rest);
    next_word(rest);  // its hierarchy
    const CountersLine<2> counts(rest, kGarbledLater);
    if (counts.found < 2 || has_control(name)) {
      out.complaints().garbled(file_->path(), line, "a controller and 3 numbers", {"a line"});
      return;
    }
    if (controllers_.next(name, NamedDevice::make) == nullptr) {
      out.complaints().repeated(file_->path(), name);
      return;
    }
    for (std::size_t i = 0; i < 2; ++i) {
      if (counts.is_good[i]) {
        out.add(kFamilies[i], {name}, static_cast<double>(counts.values[i]));
      } else {
        out.complaints().garbled(file_->path(), word_at(rest, i), "a count",
                                 {kFamilies[i].name, {name}});
      }
    }
  }

  std::shared_ptr<KeptFile> file_;
  DeviceList<NamedDevice> controllers_;
};

}  // namespace

CollectorType cgroups_collector() {
  return {make_collector<Cgroups>};
}

}  // namespace msp::collectors
