// thermal_zone: the temperatures that the kernel watches, in thousandths of a degree, and how far
// what cools them is turned up, from /sys/class/thermal (Documentation/driver-api/thermal):
//   thermal_zone0/temp 49925     cooling_device1/cur_state 0, of max_state 50
// A zone may be below zero, and a device that has no state yet says -1. A sensor that has no value
// now is left out; node_exporter says 0 degrees of it.
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kTemperature{
    "node_thermal_zone_temp", "Zone temperature in Celsius",
    "/sys/class/thermal/thermal_zoneN/temp, /sys/class/thermal/thermal_zoneN/type",
    MetricType::gauge, "zone,type"};
constexpr MetricDesc kState{
    "node_cooling_device_cur_state", "Current throttle state of the cooling device",
    "/sys/class/thermal/cooling_deviceN/cur_state, /sys/class/thermal/cooling_deviceN/type",
    MetricType::gauge, "name,type"};
constexpr MetricDesc kStateMax{
    "node_cooling_device_max_state", "Maximum throttle state of the cooling device",
    "/sys/class/thermal/cooling_deviceN/max_state, /sys/class/thermal/cooling_deviceN/type",
    MetricType::gauge, "name,type"};

class ThermalZone : public Collector {
 public:
  explicit ThermalZone(const CollectorContext& context)
      : folder_(context.paths.sys("class/thermal")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder thermal(folder_);
    if (!thermal) return no_data(cat(folder_, ": no such folder"));
    thermal.list(names_);
    for (const auto& name : names_) {
      const auto zone = number_behind(name, "thermal_zone");
      const auto cooling = number_behind(name, "cooling_device");
      if (zone.empty() && cooling.empty()) continue;
      const SysFolder device(thermal, name.c_str());
      const auto& family = zone.empty() ? kState : kTemperature;
      if (!device || read_label(device, "type", family, type_, out) != SysLabel::good) continue;
      if (zone.empty()) {
        add_number(device, "cur_state", kState, {cooling, type_}, out, SysNumber::count_or_unknown);
        add_number(device, "max_state", kStateMax, {cooling, type_}, out);
      } else if (const auto millidegrees =
                     read_number(device, "temp", kTemperature, out, SysNumber::integer)) {
        out.add(kTemperature, {zone, type_}, *millidegrees / 1000);
      }
    }
    return {};
  }

 private:
  const std::string folder_;
  std::vector<std::string> names_;
  std::string type_;
};

}  // namespace

CollectorType thermal_zone_collector() {
  return {.make = make_collector<ThermalZone>,
          .costly = "firmware or a slow bus is asked for each temperature",
          .empty_is_absent = true};
}

}  // namespace msp::collectors
