// cpufreq: the frequencies between which the governor of each cpu may choose and the one it has
// chosen, from /sys/devices/system/cpu/cpuN/cpufreq (Documentation/admin-guide/pm/cpufreq.rst), in
// kHz, and which governor that is:
//   scaling_cur_freq 1699981   scaling_available_governors performance powersave
//
// Some drivers measure for 20 ms when scaling_cur_freq is read, so this collector is a costly one.
// cpuinfo_cur_freq, which is for root alone and slower still, and the other cpuinfo_* files are not read.
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

struct Value {
  const char* file;
  MetricDesc metric;
};
#define MSP_CPUFREQ(file, name, which)                                                            \
  {                                                                                               \
    file, {                                                                                       \
      "node_cpu_scaling_frequency_" name "hertz", which " scaled CPU thread frequency in hertz.", \
          "/sys/devices/system/cpu/cpuN/cpufreq/" file, MetricType::gauge, "cpu"                  \
    }                                                                                             \
  }
constexpr Value kValues[] = {MSP_CPUFREQ("scaling_cur_freq", "", "Current"),
                             MSP_CPUFREQ("scaling_min_freq", "min_", "Minimum"),
                             MSP_CPUFREQ("scaling_max_freq", "max_", "Maximum")};
#undef MSP_CPUFREQ
constexpr MetricDesc kGovernor{"node_cpu_scaling_governor",
                               "Current enabled CPU frequency governor.",
                               "/sys/devices/system/cpu/cpuN/cpufreq/scaling_governor, "
                               "/sys/devices/system/cpu/cpuN/cpufreq/scaling_available_governors",
                               MetricType::gauge, "cpu,governor"};

class Cpufreq : public Collector {
 public:
  explicit Cpufreq(const CollectorContext& context)
      : folder_(context.paths.sys("devices/system/cpu")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder cpus(folder_);
    bool is_there = false;
    if (cpus) cpus.list(names_);
    for (const auto& name : names_) {
      const auto number = number_behind(name, "cpu");
      if (number.empty()) continue;
      const SysFolder cpu(cpus, name.c_str());
      const SysFolder cpufreq(cpu, "cpufreq");
      if (!cpufreq || cpu.read("online").text() == "0") continue;
      is_there = true;
      for (const auto& value : kValues) {
        const auto khz = read_number(cpufreq, value.file, value.metric, out);
        if (khz) out.add(value.metric, {number}, *khz * 1000);
      }
      add_governor(cpufreq, number, out);
    }
    if (!is_there) return no_data(cat(folder_, ": no cpu has a folder cpufreq"));
    return {};
  }

 private:
  void add_governor(const SysFolder& cpufreq, std::string_view cpu, SeriesWriter& out) {
    read_label(cpufreq, "scaling_governor", kGovernor, governor_, out);
    read_label(cpufreq, "scaling_available_governors", kGovernor, governors_, out);
    if (governor_.empty()) return;
    std::string_view rest = governors_;
    for (auto name = next_word(rest); !name.empty(); name = next_word(rest)) {
      out.add(kGovernor, {cpu, name}, name == governor_ ? 1 : 0);
    }
  }

  const std::string folder_;
  std::vector<std::string> names_;
  std::string governor_;
  std::string governors_;
};

}  // namespace

CollectorType cpufreq_collector() {
  return {.make = make_collector<Cpufreq>,
          .costly = "some drivers measure for 20 ms per CPU when `scaling_cur_freq` is read"};
}

}  // namespace msp::collectors
