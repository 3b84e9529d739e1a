// powersupplyclass: batteries, mains and UPSs as the kernel sees them, from
// /sys/class/power_supply/SUPPLY (Documentation/ABI/testing/sysfs-class-power), a value per file, in
// millionths of a volt, ampere, watt or watt hour, and tenths of a degree:
//   BAT0/voltage_now 12229000    BAT0/temp 312    AC/online 1
// A supply has the files of what it measures. A current may be below zero, and so may the charge that
// it adds up to, a power and a temperature.
#include <array>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

struct Value {
  const char* file;
  MetricDesc metric;
  double per_unit;

  SysNumber kind() const {
    const std::string_view name = file;
    const bool is_signed = name.starts_with("current_") || name.starts_with("power_") ||
                           name.starts_with("temp") || name == "charge_counter" ||
                           name == "charge_now";
    return is_signed ? SysNumber::integer : SysNumber::count;
  }
};
#define MSP_SUPPLY(file, name, per_unit)                                                      \
  {                                                                                           \
    file,                                                                                     \
        {"node_power_supply_" name, name " value of /sys/class/power_supply/<power_supply>.", \
         "/sys/class/power_supply/DEVICE/" file, MetricType::gauge, "power_supply"},          \
        per_unit                                                                              \
  }
// clang-format off
constexpr Value kValues[] = {
    MSP_SUPPLY("authentic", "authentic", 1),
    MSP_SUPPLY("calibrate", "calibrate", 1),
    MSP_SUPPLY("capacity", "capacity", 1),
    MSP_SUPPLY("capacity_alert_max", "capacity_alert_max", 1),
    MSP_SUPPLY("capacity_alert_min", "capacity_alert_min", 1),
    MSP_SUPPLY("cycle_count", "cyclecount", 1),
    MSP_SUPPLY("online", "online", 1),
    MSP_SUPPLY("present", "present", 1),
    MSP_SUPPLY("time_to_empty_now", "time_to_empty_seconds", 1),
    MSP_SUPPLY("time_to_full_now", "time_to_full_seconds", 1),
    MSP_SUPPLY("current_boot", "current_boot", 1e6),
    MSP_SUPPLY("current_max", "current_max", 1e6),
    MSP_SUPPLY("current_now", "current_ampere", 1e6),
    MSP_SUPPLY("energy_empty", "energy_empty", 1e6),
    MSP_SUPPLY("energy_empty_design", "energy_empty_design", 1e6),
    MSP_SUPPLY("energy_full", "energy_full", 1e6),
    MSP_SUPPLY("energy_full_design", "energy_full_design", 1e6),
    MSP_SUPPLY("energy_now", "energy_watthour", 1e6),
    MSP_SUPPLY("voltage_boot", "voltage_boot", 1e6),
    MSP_SUPPLY("voltage_max", "voltage_max", 1e6),
    MSP_SUPPLY("voltage_max_design", "voltage_max_design", 1e6),
    MSP_SUPPLY("voltage_min", "voltage_min", 1e6),
    MSP_SUPPLY("voltage_min_design", "voltage_min_design", 1e6),
    MSP_SUPPLY("voltage_now", "voltage_volt", 1e6),
    MSP_SUPPLY("voltage_ocv", "voltage_ocv", 1e6),
    MSP_SUPPLY("charge_control_limit", "charge_control_limit", 1e6),
    MSP_SUPPLY("charge_control_limit_max", "charge_control_limit_max", 1e6),
    MSP_SUPPLY("charge_counter", "charge_counter", 1e6),
    MSP_SUPPLY("charge_empty", "charge_empty", 1e6),
    MSP_SUPPLY("charge_empty_design", "charge_empty_design", 1e6),
    MSP_SUPPLY("charge_full", "charge_full", 1e6),
    MSP_SUPPLY("charge_full_design", "charge_full_design", 1e6),
    MSP_SUPPLY("charge_now", "charge_ampere", 1e6),
    MSP_SUPPLY("charge_term_current", "charge_term_current", 1e6),
    MSP_SUPPLY("constant_charge_current", "constant_charge_current", 1e6),
    MSP_SUPPLY("constant_charge_current_max", "constant_charge_current_max", 1e6),
    MSP_SUPPLY("constant_charge_voltage", "constant_charge_voltage", 1e6),
    MSP_SUPPLY("constant_charge_voltage_max", "constant_charge_voltage_max", 1e6),
    MSP_SUPPLY("precharge_current", "precharge_current", 1e6),
    MSP_SUPPLY("input_current_limit", "input_current_limit", 1e6),
    MSP_SUPPLY("power_now", "power_watt", 1e6),
    MSP_SUPPLY("temp", "temp_celsius", 10),
    MSP_SUPPLY("temp_alert_max", "temp_alert_max_celsius", 10),
    MSP_SUPPLY("temp_alert_min", "temp_alert_min_celsius", 10),
    MSP_SUPPLY("temp_ambient", "temp_ambient_celsius", 10),
    MSP_SUPPLY("temp_ambient_max", "temp_ambient_max_celsius", 10),
    MSP_SUPPLY("temp_ambient_min", "temp_ambient_min_celsius", 10),
    MSP_SUPPLY("temp_max", "temp_max_celsius", 10),
    MSP_SUPPLY("temp_min", "temp_min_celsius", 10),
};
// clang-format on
#undef MSP_SUPPLY

constexpr const char* kTexts[] = {"capacity_level", "charge_type", "health",        "manufacturer",
                                  "model_name",     "scope",       "serial_number", "status",
                                  "technology",     "type",        "usb_type"};
constexpr MetricDesc kInfo{
    "node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.",
    "/sys/class/power_supply/DEVICE/FILE", MetricType::gauge,
    "power_supply,capacity_level,charge_type,health,manufacturer,model_name,scope,serial_number,"
    "status,technology,type,usb_type"};

class PowerSupplyClass : public Collector {
 public:
  explicit PowerSupplyClass(const CollectorContext& context)
      : folder_(context.paths.sys("class/power_supply")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder supplies(folder_);
    if (!supplies) return no_data(cat(folder_, ": no such folder"));
    supplies.list(names_);
    for (const auto& name : names_) {
      const SysFolder supply(supplies, name.c_str());
      if (!supply) continue;
      for (const auto& value : kValues) {
        const auto number = read_number(supply, value.file, value.metric, out, value.kind());
        if (number) out.add(value.metric, {name}, *number / value.per_unit);
      }
      auto& t = texts_;
      for (std::size_t i = 0; i < t.size(); ++i) read_label(supply, kTexts[i], kInfo, t[i], out);
      out.add(kInfo, {name, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10]}, 1);
    }
    return {};
  }

 private:
  const std::string folder_;
  std::vector<std::string> names_;
  std::array<std::string, std::size(kTexts)> texts_;  // of one supply after the other
};

}  // namespace

CollectorType powersupplyclass_collector() {
  return {.make = make_collector<PowerSupplyClass>,
          .costly = "a battery is asked by its firmware, value by value"};
}

}  // namespace msp::collectors
