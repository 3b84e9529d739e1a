#include "collectors/registry.h"

// One line each, by name: MSP_COLLECTOR(name, on by default). collectors/<name>.cpp defines
// make_<name>.
#define MSP_COLLECTORS            \
  MSP_COLLECTOR(cpu, true)        \
  MSP_COLLECTOR(diskstats, true)  \
  MSP_COLLECTOR(filesystem, true) \
  MSP_COLLECTOR(loadavg, true)    \
  MSP_COLLECTOR(meminfo, true)    \
  MSP_COLLECTOR(netdev, true)     \
  MSP_COLLECTOR(stat, true)       \
  MSP_COLLECTOR(time, true)       \
  MSP_COLLECTOR(uname, true)

namespace msp {

#define MSP_COLLECTOR(name, default_on) \
  std::unique_ptr<Collector> make_##name(const CollectorContext&);
MSP_COLLECTORS
#undef MSP_COLLECTOR

std::span<const CollectorEntry> collector_registry() {
#define MSP_COLLECTOR(name, default_on) {#name, default_on, make_##name},
  static constexpr CollectorEntry kCollectors[] = {MSP_COLLECTORS};
#undef MSP_COLLECTOR
  return kCollectors;
}

}  // namespace msp
