// timex: what the kernel knows of its clock's error and of what keeps the clock right, from
// adjtimex(2), which is only asked (modes 0) and needs no privilege for that. A sandbox may refuse
// the call all the same: then there is no data.
#include <cerrno>

#include "agent/base/text.h"
#include "collectors/collector.h"

namespace msp::collectors {
namespace {

enum class Unit { one, microseconds, nano_or_micro, scaled_ppm, scaled_ratio };

struct Value {
  MetricDesc family;
  Unit unit;
  double (*of)(const struct timex&);
};

constexpr MetricDesc metric(std::string_view name, std::string_view help,
                            MetricType type = MetricType::gauge) {
  return {name, help, "adjtimex(2)", type};
}
#define MSP_TIMEX(name, help, unit, field)                                         \
  {                                                                                \
    metric("node_timex_" name, help), Unit::unit,                                  \
        [](const struct timex& clock) { return static_cast<double>(clock.field); } \
  }
#define MSP_TIMEX_COUNTER(name, help, field)                                       \
  {                                                                                \
    metric("node_timex_" name, help, MetricType::counter), Unit::one,              \
        [](const struct timex& clock) { return static_cast<double>(clock.field); } \
  }
constexpr Value kValues[] = {
    MSP_TIMEX("offset_seconds", "Time offset in between local system and reference clock.",
              nano_or_micro, offset),
    MSP_TIMEX("frequency_adjustment_ratio", "Local clock frequency adjustment.", scaled_ratio,
              freq),
    MSP_TIMEX("maxerror_seconds", "Maximum error in seconds.", microseconds, maxerror),
    MSP_TIMEX("estimated_error_seconds", "Estimated error in seconds.", microseconds, esterror),
    MSP_TIMEX("status", "Value of the status array bits.", one, status),
    MSP_TIMEX("loop_time_constant", "Phase-locked loop time constant.", one, constant),
    MSP_TIMEX("tick_seconds", "Seconds between clock ticks.", microseconds, tick),
    MSP_TIMEX("pps_frequency_hertz", "Pulse per second frequency.", scaled_ppm, ppsfreq),
    MSP_TIMEX("pps_jitter_seconds", "Pulse per second jitter.", nano_or_micro, jitter),
    MSP_TIMEX("pps_shift_seconds", "Pulse per second interval duration.", one, shift),
    MSP_TIMEX("pps_stability_hertz",
              "Pulse per second stability, average of recent frequency changes.", scaled_ppm,
              stabil),
    MSP_TIMEX_COUNTER("pps_jitter_total", "Pulse per second count of jitter limit exceeded events.",
                      jitcnt),
    MSP_TIMEX_COUNTER("pps_calibration_total", "Pulse per second count of calibration intervals.",
                      calcnt),
    MSP_TIMEX_COUNTER("pps_error_total", "Pulse per second count of calibration errors.", errcnt),
    MSP_TIMEX_COUNTER("pps_stability_exceeded_total",
                      "Pulse per second count of stability limit exceeded events.", stbcnt),
    MSP_TIMEX("tai_offset_seconds", "International Atomic Time (TAI) offset.", one, tai),
};
#undef MSP_TIMEX
#undef MSP_TIMEX_COUNTER
constexpr MetricDesc kSynchronized = metric(
    "node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).");

constexpr double kPpm = 1e6 * 65536;  // the kernel's parts per million have 16 bits of fraction

class Timex : public Collector {
 public:
  explicit Timex(const CollectorContext& context) : adjtimex_(context.host.adjtimex) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    struct timex clock {};
    const int state = adjtimex_(&clock);
    if (state < 0) {
      auto text = cat("adjtimex: ", errno_text(errno));
      const bool is_refused = errno == EPERM || errno == EACCES || errno == ENOSYS;
      return is_refused ? no_data(std::move(text)) : failed(std::move(text));
    }
    out.add(kSynchronized, state == TIME_ERROR ? 0 : 1);
    for (const auto& [family, unit, of] : kValues) {
      out.add(family, scaled(of(clock), unit, (clock.status & STA_NANO) != 0));
    }
    return {};
  }

 private:
  static double scaled(double value, Unit unit, bool is_nano) {
    switch (unit) {
      case Unit::one:
        return value;
      case Unit::microseconds:
        return value / 1e6;
      case Unit::nano_or_micro:
        return value / (is_nano ? 1e9 : 1e6);
      case Unit::scaled_ppm:
        return value / kPpm;
      case Unit::scaled_ratio:
        return 1 + value / kPpm;
    }
    return value;
  }

  int (*adjtimex_)(struct timex*);
};

}  // namespace

CollectorType timex_collector() {
  return {make_collector<Timex>};
}

}  // namespace msp::collectors
