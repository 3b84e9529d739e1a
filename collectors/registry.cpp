#include "collectors/registry.h"

// One line each, by name: MSP_COLLECTOR(name, on by default). collectors/<name>.cpp defines
// <name>_collector().
#define MSP_COLLECTORS                  \
  MSP_COLLECTOR(arp, true)              \
  MSP_COLLECTOR(bonding, true)          \
  MSP_COLLECTOR(btrfs, true)            \
  MSP_COLLECTOR(buddyinfo, false)       \
  MSP_COLLECTOR(cgroups, false)         \
  MSP_COLLECTOR(conntrack, true)        \
  MSP_COLLECTOR(containers, true)       \
  MSP_COLLECTOR(cpu, true)              \
  MSP_COLLECTOR(cpufreq, true)          \
  MSP_COLLECTOR(diskstats, true)        \
  MSP_COLLECTOR(dmi, true)              \
  MSP_COLLECTOR(edac, true)             \
  MSP_COLLECTOR(entropy, true)          \
  MSP_COLLECTOR(fibrechannel, true)     \
  MSP_COLLECTOR(filefd, true)           \
  MSP_COLLECTOR(filesystem, true)       \
  MSP_COLLECTOR(hwmon, true)            \
  MSP_COLLECTOR(infiniband, true)       \
  MSP_COLLECTOR(interrupts, false)      \
  MSP_COLLECTOR(ipvs, true)             \
  MSP_COLLECTOR(kernel_hung, true)      \
  MSP_COLLECTOR(ksmd, false)            \
  MSP_COLLECTOR(loadavg, true)          \
  MSP_COLLECTOR(mdadm, true)            \
  MSP_COLLECTOR(meminfo, true)          \
  MSP_COLLECTOR(meminfo_numa, false)    \
  MSP_COLLECTOR(mountstats, false)      \
  MSP_COLLECTOR(netclass, true)         \
  MSP_COLLECTOR(netdev, true)           \
  MSP_COLLECTOR(netstat, true)          \
  MSP_COLLECTOR(nfs, true)              \
  MSP_COLLECTOR(nfsd, true)             \
  MSP_COLLECTOR(nvme, true)             \
  MSP_COLLECTOR(os, true)               \
  MSP_COLLECTOR(powersupplyclass, true) \
  MSP_COLLECTOR(pressure, true)         \
  MSP_COLLECTOR(process_groups, false)  \
  MSP_COLLECTOR(processes, false)       \
  MSP_COLLECTOR(rapl, true)             \
  MSP_COLLECTOR(schedstat, true)        \
  MSP_COLLECTOR(selinux, true)          \
  MSP_COLLECTOR(slabinfo, false)        \
  MSP_COLLECTOR(sockstat, true)         \
  MSP_COLLECTOR(softirqs, false)        \
  MSP_COLLECTOR(softnet, true)          \
  MSP_COLLECTOR(stat, true)             \
  MSP_COLLECTOR(systemd, false)         \
  MSP_COLLECTOR(tapestats, true)        \
  MSP_COLLECTOR(tcpstat, false)         \
  MSP_COLLECTOR(textfile, true)         \
  MSP_COLLECTOR(thermal_zone, true)     \
  MSP_COLLECTOR(time, true)             \
  MSP_COLLECTOR(timex, true)            \
  MSP_COLLECTOR(top_processes, false)   \
  MSP_COLLECTOR(udp_queues, true)       \
  MSP_COLLECTOR(uname, true)            \
  MSP_COLLECTOR(vmstat, true)           \
  MSP_COLLECTOR(watchdog, true)         \
  MSP_COLLECTOR(xfs, true)              \
  MSP_COLLECTOR(zfs, true)              \
  MSP_COLLECTOR(zoneinfo, false)

namespace msp::collectors {

#define MSP_COLLECTOR(name, default_on) CollectorType name##_collector();
MSP_COLLECTORS
#undef MSP_COLLECTOR

std::span<const CollectorEntry> collector_registry() {
#define MSP_COLLECTOR(name, default_on) {#name, default_on, name##_collector()},
  static const CollectorEntry kCollectors[] = {MSP_COLLECTORS};
#undef MSP_COLLECTOR
  return kCollectors;
}

std::span<const std::string_view> collector_names() {
#define MSP_COLLECTOR(name, default_on) #name,
  static constexpr std::string_view kNames[] = {MSP_COLLECTORS};
#undef MSP_COLLECTOR
  return kNames;
}

}  // namespace msp::collectors
