// time: the tick's time, the time zone that the agent runs in, and the kernel's clock sources
// (Documentation/ABI/testing/sysfs-devices-system-clocksource; device 0 is the only one there has
// ever been):
//   available_clocksource   tsc kvm-clock
//   current_clocksource     tsc
#include <ctime>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/numbered_entries.h"

namespace msp {
namespace {

constexpr Family kTime{"node_time_seconds", "System time in seconds since epoch (1970).",
                       "clock_gettime(2)"};
constexpr Family kZone{"node_time_zone_offset_seconds", "System time zone offset in seconds.",
                       "localtime(3)", MetricType::gauge, "time_zone"};
constexpr Family kAvailable{"node_time_clocksource_available_info",
                            "Available clocksources read from '/sys/devices/system/clocksource'.",
                            "/sys/devices/system/clocksource/clocksourceN/available_clocksource",
                            MetricType::gauge, "device,clocksource"};
constexpr Family kCurrent{"node_time_clocksource_current_info",
                          "Current clocksource read from '/sys/devices/system/clocksource'.",
                          "/sys/devices/system/clocksource/clocksourceN/current_clocksource",
                          MetricType::gauge, "device,clocksource"};

class Time : public Collector {
 public:
  explicit Time(const CollectorContext& context) {
    tzset();  // localtime_r need not
    const auto folder = context.paths.sys("devices/system/clocksource");
    for (const auto& name : numbered_entries(folder, "clocksource")) {
      const auto path = cat(folder, "/", name);
      clocksources_.push_back(
          {.device = cat(clocksources_.size()),
           .available = KeptFile(path + "/available_clocksource", KeptFile::End::short_read),
           .current = KeptFile(path + "/current_clocksource", KeptFile::End::short_read)});
    }
  }

  Result<void> collect(const Tick& tick, SampleWriter& out) override {
    const auto second = static_cast<std::time_t>(tick.wall_ns / kNsPerSecond);
    const auto ns = static_cast<double>(tick.wall_ns % kNsPerSecond);
    // The whole as one number of nanoseconds does not fit into a double.
    out.add(kTime, static_cast<double>(second) + ns / kNsPerSecond);

    std::tm local{};
    localtime_r(&second, &local);
    out.add(kZone, {local.tm_zone}, static_cast<double>(local.tm_gmtoff));

    for (auto& [device, available, current] : clocksources_) {
      if (auto added = add_words(kAvailable, device, available, out); !added) return added;
      if (auto added = add_words(kCurrent, device, current, out); !added) return added;
    }
    return {};
  }

 private:
  struct Clocksource {
    std::string device;
    KeptFile available;
    KeptFile current;
  };

  static Result<void> add_words(const Family& family, std::string_view device, KeptFile& file,
                                SampleWriter& out) {
    const auto content = file.read();
    if (!content && content.error().kind == Error::Kind::no_data) return {};
    if (!content) return content.error();
    auto rest = trim(*content);
    for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
      out.add(family, {device, word}, 1);
    }
    return {};
  }

  std::vector<Clocksource> clocksources_;
};

}  // namespace

std::unique_ptr<Collector> make_time(const CollectorContext& context) {
  return std::make_unique<Time>(context);
}

}  // namespace msp
