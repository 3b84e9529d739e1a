// watchdog: how each watchdog timer is set, from /sys/class/watchdog/watchdogN
// (Documentation/ABI/testing/sysfs-class-watchdog), a value per file. Most drivers have a few of
// them.
#include <array>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

struct Value {
  const char* file;
  MetricDesc metric;
};
#define MSP_WATCHDOG(file, name)                                              \
  {                                                                           \
    file, {                                                                   \
      "node_watchdog_" name, "Value of /sys/class/watchdog/<watchdog>/" file, \
          "/sys/class/watchdog/DEVICE/" file, MetricType::gauge, "name"       \
    }                                                                         \
  }
constexpr Value kValues[] = {
    MSP_WATCHDOG("bootstatus", "bootstatus"),   MSP_WATCHDOG("fw_version", "fw_version"),
    MSP_WATCHDOG("nowayout", "nowayout"),       MSP_WATCHDOG("timeleft", "timeleft_seconds"),
    MSP_WATCHDOG("timeout", "timeout_seconds"), MSP_WATCHDOG("pretimeout", "pretimeout_seconds"),
    MSP_WATCHDOG("access_cs0", "access_cs0"),
};
#undef MSP_WATCHDOG
constexpr MetricDesc kInfo{
    "node_watchdog_info", "Info of /sys/class/watchdog/<watchdog>",
    "/sys/class/watchdog/DEVICE/options, /sys/class/watchdog/DEVICE/identity, "
    "/sys/class/watchdog/DEVICE/state, /sys/class/watchdog/DEVICE/status, "
    "/sys/class/watchdog/DEVICE/pretimeout_governor",
    MetricType::gauge, "name,options,identity,state,status,pretimeout_governor"};

class Watchdog : public Collector {
 public:
  explicit Watchdog(const CollectorContext& context)
      : folder_(context.paths.sys("class/watchdog")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder watchdogs(folder_);
    if (!watchdogs) return no_data(cat(folder_, ": no such folder"));
    watchdogs.list(names_);
    for (const auto& name : names_) {
      const SysFolder device(watchdogs, name.c_str());
      if (!device) continue;
      for (const auto& value : kValues) {
        add_number(device, value.file, value.metric, {name}, out);
      }
      auto& [options, identity, state, status, governor] = texts_;
      read_label(device, "options", kInfo, options, out);
      read_label(device, "identity", kInfo, identity, out);
      read_label(device, "state", kInfo, state, out);
      read_label(device, "status", kInfo, status, out);
      read_label(device, "pretimeout_governor", kInfo, governor, out);
      out.add(kInfo, {name, options, identity, state, status, governor}, 1);
    }
    return {};
  }

 private:
  const std::string folder_;
  std::vector<std::string> names_;
  std::array<std::string, 5> texts_;  // of one device after the other
};

}  // namespace

CollectorType watchdog_collector() {
  return {.make = make_collector<Watchdog>, .empty_is_absent = true};
}

}  // namespace msp::collectors
