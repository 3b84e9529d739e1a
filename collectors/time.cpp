// time: the tick's time, the time zone that the agent runs in, and the kernel's clock sources
// (Documentation/ABI/testing/sysfs-devices-system-clocksource; device 0 is the only one there has
// ever been):
//   available_clocksource   tsc kvm-clock
//   current_clocksource     tsc
#include <algorithm>
#include <ctime>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/numbered_entries.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kTime{"node_time_seconds", "System time in seconds since epoch (1970).",
                           "clock_gettime(2)"};
constexpr MetricDesc kZone{"node_time_zone_offset_seconds", "System time zone offset in seconds.",
                           "localtime(3)", MetricType::gauge, "time_zone"};
constexpr MetricDesc kAvailable{
    "node_time_clocksource_available_info",
    "Available clocksources read from '/sys/devices/system/clocksource'.",
    "/sys/devices/system/clocksource/clocksourceN/available_clocksource", MetricType::gauge,
    "device,clocksource"};
constexpr MetricDesc kCurrent{"node_time_clocksource_current_info",
                              "Current clocksource read from '/sys/devices/system/clocksource'.",
                              "/sys/devices/system/clocksource/clocksourceN/current_clocksource",
                              MetricType::gauge, "device,clocksource"};

constexpr std::size_t kKeptMax = 4;  // clock sources whose files stay open

class Time : public Collector {
 public:
  explicit Time(const CollectorContext& context) {
    tzset();  // localtime_r need not
    const auto folder = context.paths.sys("devices/system/clocksource");
    for (const auto& name : numbered_entries(folder, "clocksource")) {
      const auto path = cat(folder, "/", name);
      clocksources_.push_back(
          {.device = cat(clocksources_.size()),
           .stays_open = clocksources_.size() < kKeptMax,
           .available = KeptFile(path + "/available_clocksource", KeptFile::End::short_read),
           .current = KeptFile(path + "/current_clocksource", KeptFile::End::short_read)});
    }
  }

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto second = static_cast<std::time_t>(tick.wall_ns / kNsPerSecond);
    const auto ns = static_cast<double>(tick.wall_ns % kNsPerSecond);
    // The whole as one number of nanoseconds does not fit into a double.
    out.add(kTime, static_cast<double>(second) + ns / kNsPerSecond);

    std::tm local{};
    localtime_r(&second, &local);
    out.add(kZone, {local.tm_zone}, static_cast<double>(local.tm_gmtoff));

    for (auto& [device, stays_open, available, current] : clocksources_) {
      add_names(kAvailable, device, available, out);
      add_names(kCurrent, device, current, out);
      if (stays_open) continue;
      available.close();
      current.close();
    }
    return {};
  }

 private:
  struct Clocksource {
    std::string device;
    bool stays_open;
    KeptFile available;
    KeptFile current;
  };

  static void add_names(const MetricDesc& family, std::string_view device, KeptFile& file,
                        SeriesWriter& out) {
    const auto content = file.read();
    if (!content && content.error().kind == Error::Kind::no_data) return;
    if (!content) {
      out.complaints().unreadable(file.path(), content.error(), {family.name});
      return;
    }
    const auto names = trim(*content);
    auto rest = names;
    for (auto name = next_word(rest); !name.empty(); name = next_word(rest)) {
      const auto before = names.substr(0, static_cast<std::size_t>(name.data() - names.data()));
      if (!is_name(name) || has_word(before, name)) {
        out.complaints().garbled(file.path(), name, "the name of a clock source", {family.name});
      } else if (&family == &kCurrent && !before.empty()) {
        out.complaints().garbled(file.path(), names, "one clock source", {"all but the first"});
        return;
      } else {
        out.add(family, {device, name}, 1);
      }
    }
  }

  /// As the kernel names them: tsc, hyperv_clocksource_tsc_page, arch_sys_counter, acpi_pm.
  static bool is_name(std::string_view word) {
    return std::all_of(word.begin(), word.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  }

  static bool has_word(std::string_view text, std::string_view wanted) {
    for (auto word = next_word(text); !word.empty(); word = next_word(text)) {
      if (word == wanted) return true;
    }
    return false;
  }

  std::vector<Clocksource> clocksources_;
};

}  // namespace

CollectorType time_collector() {
  return {make_collector<Time>};
}

}  // namespace msp::collectors
