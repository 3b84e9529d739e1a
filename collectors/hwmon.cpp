// hwmon: temperatures, fans, voltages and power, from /sys/class/hwmon/hwmonN
// (Documentation/hwmon/sysfs-interface.rst), where old drivers have them in hwmonN/device. A file is
// a type, a number and an element of that sensor:
//   temp1_input 46000    temp1_crit 100000    fan2_input 1200    in0_label Vcore
// The metric's name is made of type and element, its unit is that of the type.
//
// A chip is called by its device, "platform_coretemp_0", for hwmonN is another one after the next
// start. Some drivers ask a slow bus at each read, so this collector is a costly one. A sensor that
// cannot be read now is left out.
#include <limits.h>
#include <stdlib.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kChipNames{
    "node_hwmon_chip_names", "Annotation metric for human-readable chip names",
    "/sys/class/hwmon/DEVICE/name", MetricType::gauge, "chip,chip_name"};
constexpr MetricDesc kSensorLabel{"node_hwmon_sensor_label", "Label for given chip and sensor",
                                  "/sys/class/hwmon/DEVICE/FILE", MetricType::gauge,
                                  "chip,sensor,label"};

constexpr std::string_view kTypes[] = {
    "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",       "pwm",
    "temp", "curr",        "power",           "energy", "humidity", "intrusion", "freq"};
// Of the power meter of ACPI: texts.
constexpr std::string_view kTexts[] = {"model_number", "oem_info", "serial_number"};

/// "temp12_crit_alarm": the parts of a file's name.
struct Sensor {
  std::string_view type;
  std::string_view number;   // empty: "update_interval"
  std::string_view element;  // empty: "pwm1"

  /// "temp12", "update_interval0".
  void name(std::string& text) const {
    text = type;
    text += number.empty() ? "0" : number;
  }
};

/// Nothing where it is not the file of a sensor: the folder "power" of a device is not.
std::optional<Sensor> parse_sensor(std::string_view file) {
  constexpr auto kDigits = "0123456789";
  const auto digits = std::min(file.find_first_of(kDigits), file.size());
  const auto end = std::min(file.find_first_not_of(kDigits, digits), file.size());
  Sensor sensor{file.substr(0, digits), file.substr(digits, end - digits), {}};
  if (std::ranges::find(kTypes, sensor.type) == std::end(kTypes)) return std::nullopt;
  const bool has_number =
      sensor.type != "vrm" && sensor.type != "beep_enable" && sensor.type != "update_interval";
  if (sensor.number.empty() == has_number) return std::nullopt;
  if (end == file.size()) return sensor;
  if (file[end] != '_' || end + 1 == file.size()) return std::nullopt;
  sensor.element = file.substr(end + 1);
  return sensor;
}

/// Whether its number may be below zero: voltages, currents, power and temperatures, those at which
/// a fan is turned up (pwm1_auto_point1_temp) too, but not whether one is too high.
bool is_signed(const Sensor& sensor) {
  constexpr std::string_view kSwitches[] = {"alarm", "beep", "enable", "fault", "type"};
  for (const auto what : kSwitches) {
    if (sensor.element.ends_with(what)) return false;
  }
  return sensor.type == "in" || sensor.type == "curr" || sensor.type == "power" ||
         sensor.type == "temp" || sensor.element.find("temp") != sensor.element.npos;
}

/// As node_exporter makes a part of a name of it: lower case, with '_' for what a name cannot have,
/// and none at its ends.
std::string clean(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool is_good = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ||
                         lower == ':' || lower == '_';
    name += is_good ? lower : '_';
  }
  const auto begin = name.find_first_not_of('_');
  if (begin == name.npos) return {};
  return name.substr(begin, name.find_last_not_of('_') - begin + 1);
}

/// How the number of a file becomes a sample.
struct Unit {
  enum class Kind { whole, thousandths, millionths };
  Kind kind = Kind::whole;
  std::string name = {};  // of the metric
  std::string help = {};
  MetricType type = MetricType::gauge;

  double of(double number) const {
    if (kind == Kind::thousandths) return number * 0.001;
    return kind == Kind::millionths ? number / 1e6 : number;
  }
};

Unit make_unit(const Sensor& sensor, bool has_plain) {
  const auto type = std::string(sensor.type);
  const auto element = std::string(sensor.element);
  auto name = "node_hwmon_" + type;
  if (element != "input" || has_plain) name += element.empty() ? "" : "_" + clean(element);
  const auto of = cat(" (", element, ")");
  const auto as = [&](Unit::Kind kind, std::string_view unit, std::string help) {
    return Unit{kind, cat(name, unit), std::move(help)};
  };
  using enum Unit::Kind;
  if (type == "beep_enable") return {whole, "node_hwmon_beep_enabled", "Hardware beep enabled"};
  if (type == "vrm") {
    return {whole, "node_hwmon_voltage_regulator_version", "Hardware voltage regulator"};
  }
  if (type == "update_interval") {
    return {thousandths, "node_hwmon_update_interval_seconds", "Hardware monitor update interval"};
  }
  if (element == "fault" || element == "alarm") {
    return as(whole, "", cat("Hardware sensor ", element, " status (", type, ")"));
  }
  if (element == "beep") {
    return as(whole, "_enabled", "Hardware monitor sensor has beeping enabled");
  }
  if (type == "in" || type == "cpu") {
    return as(thousandths, "_volts", "Hardware monitor for voltage" + of);
  }
  if (type == "temp" && element != "type") {
    return as(thousandths, "_celsius",
              cat("Hardware monitor for temperature (", element.empty() ? "input" : element, ")"));
  }
  if (type == "curr") return as(thousandths, "_amps", "Hardware monitor for current" + of);
  if (type == "energy") {
    auto unit = as(millionths, "_joule_total", "Hardware monitor for joules used so far" + of);
    unit.type = MetricType::counter;
    return unit;
  }
  if (type == "power" && element == "accuracy") {
    return as(millionths, "", "Hardware monitor power meter accuracy, as a ratio");
  }
  if (type == "power" && (element == "average_interval" || element == "average_interval_min" ||
                          element == "average_interval_max")) {
    return as(thousandths, "_seconds", "Hardware monitor power usage update interval" + of);
  }
  if (type == "power") {
    return as(millionths, "_watt", "Hardware monitor for power usage in watts" + of);
  }
  if (type == "humidity") {
    return as(millionths, "",
              "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity "
              "as a percentage)" +
                  of);
  }
  if (type == "fan" &&
      (element == "input" || element == "min" || element == "max" || element == "target")) {
    return as(whole, "_rpm", "Hardware monitor for fan revolutions per minute" + of);
  }
  if (type == "freq" && element == "input") {
    return as(millionths, "_freq_mhz", "Hardware monitor for GPU frequency in MHz");
  }
  return as(whole, "", cat("Hardware monitor ", type, " element ", element));
}

struct Metric {
  Unit unit;
  std::string source;
  MetricDesc desc;
};

/// The metric of a sensor's file. Metrics are never given back, for series outlive their collector;
/// null where there are so many that they cannot be of a driver.
const Metric* metric_of(const Sensor& sensor, bool has_plain) {
  constexpr std::size_t kMetricsMax = 1024;
  using Metrics = std::map<std::string, Metric, std::less<>>;
  static Metrics& metrics = *new Metrics;
  static std::string key;
  static std::mutex mutex;  // collectors that are asked on demand have a thread of their own
  const std::lock_guard lock(mutex);
  key = sensor.type;
  key += '/';
  key += sensor.element;
  if (has_plain) key += '/';
  const auto found = metrics.find(key);
  if (found != metrics.end()) return &found->second;
  if (metrics.size() == kMetricsMax) return nullptr;
  auto& metric = metrics[key];
  metric.unit = make_unit(sensor, has_plain);
  metric.source = cat("/sys/class/hwmon/DEVICE/", sensor.type, sensor.number.empty() ? "" : "N",
                      sensor.element.empty() ? "" : "_", sensor.element);
  metric.desc = {metric.unit.name, metric.unit.help, metric.source, metric.unit.type,
                 "chip,sensor"};
  return &metric;
}

class Hwmon : public Collector {
 public:
  explicit Hwmon(const CollectorContext& context) : folder_(context.paths.sys("class/hwmon")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder hwmon(folder_);
    if (!hwmon) return no_data(cat(folder_, ": no such folder"));
    learn_chips(hwmon, out);
    for (const auto& chip : chips_) {
      const SysFolder folder(hwmon, chip.folder.c_str());
      if (!folder) continue;
      if (!chip.name.empty()) out.add(kChipNames, {chip.label, chip.name}, 1);
      folder.list(files_);
      add_sensors(folder, files_, nullptr, chip.label, out);
      const SysFolder device(folder, "device");
      if (!device) continue;
      device.list(device_files_);
      add_sensors(device, device_files_, &files_, chip.label, out);
    }
    return {};
  }

 private:
  struct Chip {
    std::string folder;  // "hwmon2"
    ino_t inode;         // of that folder: another one is another chip
    std::string label;
    std::string name = {};  // empty: it has none
  };

  /// Looks at the chips' names where they are not those of the last tick.
  void learn_chips(const SysFolder& hwmon, SeriesWriter& out) {
    hwmon.list(names_);
    bool is_same = names_.size() == chips_.size();
    for (std::size_t i = 0; is_same && i < names_.size(); ++i) {
      const SysFolder folder(hwmon, names_[i].c_str());
      is_same = chips_[i].folder == names_[i] && chips_[i].inode == folder.inode();
    }
    if (is_same) return;
    chips_.clear();
    for (const auto& name : names_) {
      const SysFolder folder(hwmon, name.c_str());
      Chip chip{name, folder.inode(), device_label(folder.path("device"))};
      if (!folder) {  // no chip
        chips_.push_back(std::move(chip));
        continue;
      }
      std::string text;
      // What is garbled is looked at again.
      if (read_label(folder, "name", kChipNames, text, out) == SysLabel::garbled) chip.inode = 0;
      chip.name = clean(text);
      if (chip.label.empty()) chip.label = chip.name.empty() ? clean(name) : chip.name;
      chips_.push_back(std::move(chip));
    }
    tell_apart();
  }

  /// "platform_coretemp_0" of ".../platform/coretemp.0"; empty where there is no device.
  static std::string device_label(const std::string& link) {
    char real[PATH_MAX];
    if (::realpath(link.c_str(), real) == nullptr) return {};
    const std::string_view path(real);
    const auto slash = path.rfind('/');
    const auto parent = path.substr(0, slash);
    const auto device = clean(path.substr(slash + 1));
    const auto bus = clean(parent.substr(parent.rfind('/') + 1));
    return bus.empty() || device.empty() ? device : cat(bus, "_", device);
  }

  /// Several chips of one device also have their name, or, where that is the same, their number.
  void tell_apart() {
    const auto labels = chips_;
    for (auto& chip : chips_) {
      const auto has_label = [&](const Chip& other) { return other.label == chip.label; };
      const auto has_both = [&](const Chip& other) {
        return other.label == chip.label && other.name == chip.name;
      };
      if (std::ranges::count_if(labels, has_label) < 2) continue;
      const bool is_told = !chip.name.empty() && std::ranges::count_if(labels, has_both) == 1;
      chip.label += "_" + (is_told ? chip.name : clean(chip.folder));
    }
  }

  /// Leaves out the files that are `known` already.
  void add_sensors(const SysFolder& folder, const std::vector<std::string>& files,
                   const std::vector<std::string>* known, const std::string& chip,
                   SeriesWriter& out) {
    for (const auto& file : files) {
      const auto sensor = parse_sensor(file);
      if (!sensor || (known != nullptr && std::ranges::binary_search(*known, file))) continue;
      sensor->name(sensor_);
      if (sensor->element == "label") {
        const auto state = read_label(folder, file.c_str(), kSensorLabel, text_, out);
        if (state == SysLabel::good) out.add(kSensorLabel, {chip, sensor_, text_}, 1);
      } else if (std::ranges::find(kTexts, sensor->element) == std::end(kTexts)) {
        add_sensor(folder, file, *sensor, files, chip, out);
      }
    }
  }

  void add_sensor(const SysFolder& folder, const std::string& file, const Sensor& sensor,
                  const std::vector<std::string>& files, const std::string& chip,
                  SeriesWriter& out) {
    const bool has_plain = sensor.element == "input" && std::ranges::binary_search(files, sensor_);
    const auto* const metric = metric_of(sensor, has_plain);
    if (metric == nullptr) return;
    const auto content = folder.read(file.c_str());
    if (content.error > 0) return;
    if (content.error != 0) {
      return complain(folder, file, content.error, metric->desc.name, out);
    }
    const auto number = parse_number<std::int64_t>(content.text());
    if (!number || (*number < 0 && !is_signed(sensor))) {
      out.complaints().garbled(folder.path(file), content.text(),
                               is_signed(sensor) ? "a whole number" : "a count",
                               {metric->desc.name});
      return;
    }
    if (sensor.type == "freq" && sensor.element == "input") {
      // A frequency is called by its label, and left out where it has none.
      const auto label = cat(sensor_, "_label");
      if (read_label(folder, label.c_str(), kSensorLabel, text_, out) != SysLabel::good) return;
      sensor_ = clean(text_);
    }
    out.add(metric->desc, {chip, sensor_}, metric->unit.of(static_cast<double>(*number)));
  }

  const std::string folder_;
  std::vector<std::string> names_;
  std::vector<Chip> chips_;
  std::vector<std::string> files_;
  std::vector<std::string> device_files_;
  std::string sensor_;  // of one file after the other
  std::string text_;
};

}  // namespace

CollectorType hwmon_collector() {
  return {.make = make_collector<Hwmon>, .costly = "some drivers ask a slow bus for each value"};
}

}  // namespace msp::collectors
