// A host of files, small and good, in which a test changes one.
#pragma once

#include <sys/statvfs.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/metrics/exposition.h"
#include "collectors/registry.h"
#include "tests/support/fixture_host.h"
#include "tests/support/scripted_bus.h"

namespace msp::test {

namespace fs = std::filesystem;
using namespace std::string_literals;

inline struct statvfs g_answer;

inline int fake_statvfs(const char*, struct statvfs* out) {
  *out = g_answer;
  return 0;
}

inline int fake_uname(struct utsname* out) {
  std::memset(out, 'x', sizeof *out);  // no field ends
  return 0;
}

inline int fake_adjtimex(struct timex* out) {
  *out = {};
  out->offset = -1'234;
  out->freq = 65'536;
  out->maxerror = 16'000;
  out->tick = 10'000;
  out->status = STA_PLL | STA_NANO;
  return TIME_OK;
}

using Lines = std::set<std::string>;

/// A host, and one collector of it after the other.
class FileHost {
 public:
  FileHost() {
    g_answer = {};
    g_answer.f_bsize = 4096;
    g_answer.f_blocks = 10;
    write_proc();
    write_net();
    write_memory();
    write_sys();
    write_devices();
    write_control_groups();
    write("root/var/lib/msp-agent-textfile/README", "");
    bus_.emplace(folder_ / "root/run/dbus/system_bus_socket",
                 "version 252.39\nstate running\n"
                 "unit a.service loaded active simple 1 /system.slice/a.service\n");
  }
  ~FileHost() {
    bus_.reset();
    fs::remove_all(folder_);
  }

  void write(const std::string& name, const std::string& content) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary | std::ios::trunc) << content;
  }

  fs::path path(const std::string& name) const { return folder_ / name; }
  const collectors::HostPaths& paths() const { return paths_; }
  std::string content(const std::string& name) const { return slurp(folder_ / name); }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), folder_));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  struct Report {
    Lines samples;
    std::vector<std::string> complaints;
    std::string error = {};  // empty: it succeeded
  };

  /// The first tick of a collector.
  Report collect(std::string_view collector) const {
    Report report;
    FileTable files;
    const collectors::Host host{
        .uname = fake_uname, .statvfs = fake_statvfs, .adjtimex = fake_adjtimex};
    metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
    auto& writer = builder.add_writer();
    for (const auto& entry : collectors::collector_registry()) {
      if (entry.name != collector) continue;
      const auto wakeup = std::make_shared<const Wakeup>();
      const auto options = entry.options();
      const auto part = entry.make({paths_, host, options, files, wakeup});
      const metrics::Tick tick{1, 1'700'000'000'250'000'000};
      if (const auto begun = part->begin(tick); !begun) {
        report.error = begun.error().text;
        return report;
      }
      while (const auto wait_ns = part->wait_ns()) wakeup->wait(wait_ns);
      builder.begin(writer);
      auto outcome = part->collect(tick, writer);
      if (outcome) outcome = builder.commit(writer);
      if (!outcome) {
        report.error = outcome.error().text;
        return report;
      }
      const auto text = metrics::text_format(builder.finish(0));
      for (std::string_view rest = text; const auto line = next_line(rest);) {
        if (!line->starts_with('#')) report.samples.emplace(*line);
      }
      writer.complaints().end_tick([&](std::string_view complaint, bool) {
        std::string without_folder(complaint);
        const auto at = without_folder.find(folder_.string());
        if (at != without_folder.npos) without_folder.erase(at, folder_.string().size());
        report.complaints.push_back(std::move(without_folder));
      });
    }
    return report;
  }

 private:
  void write_proc() const {
    write("proc/stat",
          "cpu  300 0 200 9000 10 0 5 0 0 0\n"
          "cpu0 151 1 101 4501 6 2 3 4 5 7\n"
          "cpu1 152 8 102 4502 9 10 11 12 13 14\n"
          "intr 12345 15 16\nctxt 6789\nbtime 1700000000\nprocesses 4242\nprocs_running 1\n"
          "procs_blocked 0\n");
    write("proc/uptime", "86400.12 1234.5\n");
    write("proc/loadavg", "0.20 0.18 0.12 1/80 11206\n");
    write("proc/diskstats",
          "   8       0 sda 10 1 80 5 20 2 160 6 0 7 11 12 13 14 15 16 17\n"
          "   8      16 sdb 18 19 21 22 23 24 25 26 27 28 29\n");
    write("proc/schedstat",
          "version 15\ntimestamp 4295892034\ncpu0 0 0 0 0 0 0 75 76 77\n"
          "domain0 3 1 2 3\ncpu1 0 0 0 0 0 0 78 79 80\ndomain0 3 1 2 3\n");
    write("proc/sys/fs/file-nr", "1272\t0\t2466186\n");
    write("proc/sys/kernel/random/entropy_avail", "256\n");
    write("proc/sys/kernel/random/poolsize", "257\n");
    write("proc/sys/kernel/hung_task_detect_count", "3\n");
    write("proc/1/stat", "1 (systemd) S 0 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 98 0 9 9 9\n");
    write("proc/1/task/1/stat", "1 (systemd) S 0 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 98 0 9\n");
    write("proc/1/task/2/stat", "2 (a ) (b) R 0 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 98 0 9\n");
    write("proc/1/cmdline", "/sbin/init\0"s);
    write("proc/sys/kernel/threads-max", "99\n");
    write("proc/sys/kernel/pid_max", "4194304\n");
    write("proc/interrupts",
          "           CPU0       CPU1\n LOC:     901233     881022   Local timer interrupts\n"
          " RES:         91         92   Rescheduling interrupts\n ERR:          0\n");
    write("proc/softirqs",
          "                    CPU0       CPU1\n          HI:         93         94\n"
          "       TIMER:      16850      15700\n");
    write("proc/cgroups",
          "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t95\t1\nmemory\t4\t54\t1\n");
    write("proc/self/attr/current", "system_u:system_r:unconfined_service_t:s0\n");
    write("proc/1/mountinfo",
          "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
          "60 24 8:2 / /srv rw - xfs /dev/sda2 rw\n");
    write("proc/self/mountinfo",
          "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
          "60 24 8:2 / /srv rw - xfs /dev/sda2 rw\n"
          "61 24 0:42 / /net rw - nfs4 filer:/net rw,vers=4.2,addr=fe::a\n");
    write("proc/self/mountstats",
          "device /dev/sda1 mounted on / with fstype ext4\n"
          "device filer:/net mounted on /net with fstype nfs4 statvers=1.1\n"
          "\tage:\t1201\n"
          "\tevents:\t1202 1203 1204 1205 1206 1207 1208 1209 1210 1211 1212 1213 1214 1215 1216 "
          "1217 "
          "1218 1219 1220 1221 1222 1223 1224 1225 1226 1227 1228 \n"
          "\tbytes:\t1229 1230 1231 1232 1233 1234 1235 1236 \n"
          "\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)\n"
          "\txprt:\ttcp 832 1237 1238 1239 1240 1241 1242 1243 1244 1245 1246 1247 1248\n"
          "\tper-op statistics\n"
          "\t        READ: 1249 1250 1251 1252 1253 1254 1255 1256 1257\n");
  }

  void write_control_groups() const {
    write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    write("sys/fs/cgroup/system.slice/a.service/cpu.stat", "usage_usec 1842000\nuser_usec 1\n");
    write("sys/fs/cgroup/system.slice/a.service/memory.current", "7344128\n");
    write("sys/fs/cgroup/system.slice/a.service/memory.stat", "anon 3\ninactive_file 1048576\n");
    write("sys/fs/cgroup/system.slice/a.service/pids.current", "9\n");
    const auto container =
        "sys/fs/cgroup/system.slice/docker-"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope/"s;
    write(container + "cgroup.procs", "4711\n");
    write(container + "cpu.stat",
          "usage_usec 61\nuser_usec 62\nsystem_usec 63\nnr_periods 64\nnr_throttled 65\n"
          "throttled_usec 66\n");
    write(container + "cpu.max", "150000 100000\n");
    write(container + "cpu.weight", "79\n");
    write(container + "memory.current", "14680064\n");
    write(container + "memory.peak", "14680065\n");
    write(container + "memory.stat", "anon 67\nfile 68\nfile_mapped 69\ninactive_file 70\n");
    write(container + "memory.swap.current", "71\n");
    write(container + "memory.events", "low 1\nmax 72\noom_kill 73\n");
    write(container + "memory.max", "14680066\n");
    write(container + "memory.swap.max", "14680067\n");
    write(container + "memory.min", "0\n");
    write(container + "io.stat", "8:0 rbytes=74 wbytes=75 rios=76 wios=77 dbytes=78\n");
    write(container + "pids.current", "9\n");
    write(container + "pids.max", "79\n");
    write("sys/dev/block/8:0/uevent", "MAJOR=8\nDEVNAME=sda\n");
    write("proc/4711/net/dev",
          "Inter-|   Receive  |  Transmit\n face |bytes    packets |bytes\n"
          "  eth0: 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36\n");
    write("proc/4711/stat", "4711 (a) S 4000 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 98 0 950 9 9\n");
  }

  void write_net() const {
    write("proc/net/dev",
          "Inter-|   Receive  |  Transmit\n face |bytes    packets |bytes\n"
          "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
          "  eth0: 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36\n");
    write("proc/net/netstat",
          "TcpExt: SyncookiesSent SyncookiesRecv ListenDrops TCPTimeouts\nTcpExt: 41 42 43 44\n"
          "IpExt: InNoRoutes InOctets OutOctets\nIpExt: 45 46 47\n");
    write("proc/net/snmp",
          "Ip: Forwarding DefaultTTL\nIp: 1 64\n"
          "Tcp: MaxConn ActiveOpens CurrEstab\nTcp: -1 48 49\nUdp: InDatagrams\nUdp: 50\n");
    write("proc/net/snmp6", "Ip6InReceives   \t51\nIp6InOctets   \t52\nUdp6NoPorts   \t53\n");
    write("proc/net/sockstat",
          "sockets: used 293\nTCP: inuse 21 orphan 3 tw 4 alloc 41 mem 5\nUDP: inuse 6 mem 7\n"
          "UDPLITE: inuse 8\nRAW: inuse 9\nFRAG: inuse 10 memory 4096\n");
    write("proc/net/sockstat6", "TCP6: inuse 22\nUDP6: inuse 23\nFRAG6: inuse 24 memory 25\n");
    write(
        "proc/net/softnet_stat",
        "00000054 00000055 00000056 00000000 00000000 00000000 00000000 00000000 00000057 00000058 "
        "00000059 00000060 00000000\n"
        "00000061 00000062 00000063 00000000 00000000 00000000 00000000 00000000 00000064 00000065 "
        "00000066 00000067 00000001\n");
    write("proc/net/stat/nf_conntrack",
          "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop "
          "early_drop icmp_error  expect_new expect_create expect_delete search_restart\n"
          "00000009  00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008 "
          "00000009 00000010 00000011 00000012  00000013 00000014 00000015 00000016\n"
          "00000009  00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008 "
          "00000009 00000010 00000011 00000012  00000013 00000014 00000015 00000016\n");
    write("proc/net/arp",
          "IP address       HW type     Flags       HW address            Mask     Device\n"
          "192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0\n");
    write(
        "proc/net/udp",
        "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
        "timeout inode ref pointer drops\n"
        "  349: 0100007F:0143 00000000:0000 07 00000010:00000080 00:00000000 00000000     0        "
        "0 14523 2 ffff8e0142 0\n");
    write("proc/net/udp6",
          "  sl  local_address                         remote_address                        st "
          "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
          "  350: 00000000000000000000000001000000:0143 00000000000000000000000000000000:0000 07 "
          "00000020:00000040 00:00000000 00000000     0        0 14524 2 ffff8e0142 0\n");
    write("proc/sys/net/netfilter/nf_conntrack_count", "81\n");
    write("proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
  }

  void write_memory() const {
    write("proc/meminfo",
          "MemTotal:       24684096 kB\nMemFree:        100 kB\nHugePages_Total:       7\n");
    write("proc/vmstat", "nr_free_pages 915840\npgpgin 68\npgfault 69\noom_kill 70\n");
    write("proc/pressure/cpu",
          "some avg10=0.16 avg60=0.61 avg300=1.50 total=71\n"
          "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
    for (const auto* resource : {"io", "memory"}) {
      write(cat("proc/pressure/", resource),
            "some avg10=0.16 avg60=0.61 avg300=1.50 total=72\n"
            "full avg10=0.00 avg60=0.07 avg300=1.18 total=73\n");
    }
    write("proc/pressure/irq", "full avg10=0.00 avg60=0.00 avg300=0.00 total=74\n");
    write(
        "proc/buddyinfo",
        "Node 0, zone      DMA      1      2      3\nNode 0, zone   Normal   4149  10349   4443\n");
    write("proc/zoneinfo",
          "Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 565166\n"
          "      nr_anon_pages 567374\n  pages free     2811\n        min      10\n"
          "        protection: (0, 1959, 23925)\n      nr_free_pages 2811\n  pagesets\n"
          "    cpu: 0\n              count:    0\n              high:     14\n"
          "Node 0, zone   Normal\n  pages free     2812\n        min      11\n");
    write("sys/kernel/mm/ksm/pages_shared", "96\n");
    write("sys/kernel/mm/ksm/run", "1\n");
    write("sys/kernel/mm/ksm/sleep_millisecs", "20\n");
    write("sys/devices/system/node/online", "0\n");
    write("sys/devices/system/node/node0/meminfo",
          "Node 0 MemTotal:       24684096 kB\nNode 0 Active(anon):     445 kB\n"
          "Node 0 HugePages_Total:      7\n");
    write("sys/devices/system/node/node0/numastat", "numa_hit 9120331\nnuma_miss 97\n");
  }

  void write_sys() const {
    write("sys/fs/selinux/enforce", "1\n");
    write("root/etc/selinux/config", "# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n");
    write("root/etc/os-release",
          "NAME=\"AlmaLinux\"\nVERSION_ID=\"9.4\"\nID=\"almalinux\"\nSUPPORT_END=2032-06-01\n");
    const auto sys = "sys/devices/system/"s;
    for (const auto* cpu : {"0", "1"}) {
      const auto folder = cat(sys, "cpu/cpu", cpu);
      write(folder + "/online", "1\n");
      write(folder + "/topology/core_id", cat(cpu, "\n"));
      write(folder + "/topology/physical_package_id", "0\n");
      write(folder + "/thermal_throttle/core_throttle_count", cat("3", cpu, "\n"));
      write(folder + "/thermal_throttle/package_throttle_count", "40\n");
    }
    write(sys + "cpu/isolated", "1\n");
    write(sys + "clocksource/clocksource0/available_clocksource", "tsc acpi_pm\n");
    write(sys + "clocksource/clocksource0/current_clocksource", "tsc\n");
    write("sys/class/net/eth0/statistics/rx_nohandler", "9\n");
    write("sys/block/sda/queue/rotational", "1\n");
    write("root/run/udev/data/b8:0",
          "S:disk/by-id/x\nE:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=1\nE:ID_ATA_WRITE_CACHE_ENABLED=0\n"
          "E:ID_ATA_ROTATION_RATE_RPM=7200\nE:ID_MODEL=disk\n");
  }

  /// No text in them is a number.
  void write_devices() const {
    write("proc/mdstat",
          "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n"
          "      523968 blocks super 1.2 [2/2] [UU]\n\nunused devices: <none>\n");
    write("sys/block/md0/md/level", "raid1\n");
    write("sys/block/md0/md/raid_disks", "2\n");
    write("sys/block/md0/md/degraded", "1\n");
    write("proc/net/rpc/nfs", "net 70 71 72 73\nrpc 74 75 76\nproc3 3 77 78 79\n");
    write("proc/net/rpc/nfsd",
          "rc 1 2 3\nfh 4 0 0 0 0\nio 5 6\nth 8 0\nra 32 0 0 0 0 0 0 0 0 0 0 7\n"
          "net 81 82 83 84\nrpc 85 0 86 87 88\nproc3 3 0 89 90\nproc4ops 5 0 0 0 91 92\n"
          "wdeleg_getattr 93\n");
    write("sys/class/net/bonding_masters", "bond0\n");
    write("sys/class/net/bond0/bonding/slaves", "eth0 eth1\n");
    write("sys/class/net/bond0/lower_eth0/bonding_slave/mii_status", "up\n");
    write("sys/class/net/bond0/lower_eth1/bonding_slave/mii_status", "down\n");
    const auto eth0 = "sys/class/net/eth0/"s;
    write(eth0 + "address", "fe:fc:aa:bb:cc:de\n");
    write(eth0 + "operstate", "up\n");
    write(eth0 + "flags", "0x1003\n");
    write(eth0 + "mtu", "1500\n");
    write(eth0 + "carrier_changes", "3\n");
    write(eth0 + "speed", "10000\n");
    write("sys/class/thermal/thermal_zone0/type", "acpitz\n");
    write("sys/class/thermal/thermal_zone0/temp", "27800\n");
    write("sys/class/thermal/cooling_device0/type", "Processor\n");
    write("sys/class/thermal/cooling_device0/cur_state", "2\n");
    write("sys/class/thermal/cooling_device0/max_state", "10\n");
    const auto mc0 = "sys/devices/system/edac/mc/mc0/"s;
    for (const auto* file : {"ce_count", "ce_noinfo_count", "ue_count", "ue_noinfo_count",
                             "csrow0/ce_count", "csrow0/ue_count", "csrow0/ch0_ce_count"}) {
      write(mc0 + file, "4\n");
    }
    write(mc0 + "csrow0/ch0_dimm_label", "DIMM_A1\n");
    write("sys/class/nvme/nvme0/model", "Drive\n");
    write("sys/class/nvme/nvme0/state", "live\n");
    write("sys/class/nvme/nvme0/nvme0n1/size", "1000215216\n");
    write("sys/class/nvme/nvme0/nvme0n1/nuse", "815216\n");
    write("sys/class/nvme/nvme0/nvme0n1/queue/logical_block_size", "512\n");
    write("sys/class/dmi/id/product_name", "PowerEdge R640\n");
    write("sys/class/dmi/id/bios_vendor", "Vendor\n");
    for (const auto* file : {"scaling_cur_freq", "scaling_min_freq", "scaling_max_freq"}) {
      write("sys/devices/system/cpu/cpu0/cpufreq/"s + file, "1699981\n");
    }
    write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    write("sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors",
          "performance powersave\n");
    write("sys/class/hwmon/hwmon0/name", "coretemp\n");
    write("sys/class/hwmon/hwmon0/temp1_label", "Core\n");
    write("sys/class/hwmon/hwmon0/temp1_input", "46000\n");
    write("sys/class/hwmon/hwmon0/temp1_crit_alarm", "0\n");
    write("sys/class/hwmon/hwmon0/fan1_input", "1200\n");
    write("sys/class/hwmon/hwmon0/pwm1", "128\n");
    write("sys/class/hwmon/hwmon0/energy1_input", "981526000\n");
    write("sys/class/hwmon/hwmon0/device/in0_input", "1008\n");
    write("sys/fs/xfs/sda1/stats/stats", "extent_alloc 1 2 3 4\nabt 5 6 7 8\nrw 9 10\n");
    write("sys/class/power_supply/BAT/type", "Battery\n");
    write("sys/class/power_supply/BAT/capacity", "81\n");
    write("sys/class/power_supply/BAT/voltage_now", "12229000\n");
    write("sys/class/power_supply/BAT/current_now", "1042000\n");
    write("sys/class/power_supply/BAT/cycle_count", "213\n");
    write("sys/class/watchdog/watchdog0/identity", "iTCO_wdt\n");
    write("sys/class/watchdog/watchdog0/timeout", "60\n");
    write("sys/class/watchdog/watchdog0/nowayout", "0\n");
    write_rare_devices();
  }

  /// No text in them is a number.
  void write_rare_devices() const {
    write("proc/net/ip_vs_stats",
          "   Total Incoming Outgoing         Incoming         Outgoing\n"
          "   Conns  Packets  Packets            Bytes            Bytes\n 94 95 96 97 98\n");
    write("proc/net/ip_vs",
          "TCP  C0A8001A:0CEA wlc\n  -> C0A8521A:0CEA      Tunnel  100    248        2\n");
    write("proc/net/tcp",
          "  sl  local_address rem_address   st tx_queue rx_queue\n"
          "   0: 0100007F:0CEA 00000000:0000 0A 00000010:00000020 00:00000000 00000000     0\n"
          "   1: 0100007F:0CEA 00000000:0000 01 00000010:00000020 00:00000000 00000000     0\n");
    write("proc/slabinfo",
          "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize>\n"
          "kmalloc-64 16184 16512 64 63 1 : tunables 0 0 0 : slabdata 258 258 0\n");
    write("sys/class/scsi_tape/st0/stats/read_byte_cnt", "979383912\n");
    write("sys/class/scsi_tape/st0/stats/io_ns", "9247011087720\n");
    write("sys/class/fc_host/host1/port_state", "Online\n");
    write("sys/class/fc_host/host1/statistics/rx_frames", "0x3\n");
    write("sys/class/powercap/intel-rapl:0/name", "package-0\n");
    write("sys/class/powercap/intel-rapl:0/energy_uj", "240422366267\n");
    const auto port = "sys/class/infiniband/mlx4_0/ports/1/"s;
    write("sys/class/infiniband/mlx4_0/hca_type", "MT4099\n");
    write(port + "state", "4: ACTIVE\n");
    write(port + "phys_state", "5: LinkUp\n");
    write(port + "rate", "40 Gb/sec (4X QDR)\n");
    write(port + "counters/link_downed", "99\n");
    const auto btrfs = "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/"s;
    write(btrfs + "label", "fixture\n");
    write(btrfs + "commit_stats", "commits 258051\nlast_commit_ms 1000\n");
    write(btrfs + "devices/sda/size", "20971520\n");
    write(btrfs + "devinfo/1/error_stats",
          "write_errs 1301\nread_errs 1302\nflush_errs 1303\ncorruption_errs 1304\ngeneration_errs "
          "1305\n");
    write(btrfs + "allocation/global_rsv_size", "16777216\n");
    write(btrfs + "allocation/data/bytes_reserved", "65536\n");
    write(btrfs + "allocation/data/single/used_bytes", "808189952\n");
    write(btrfs + "allocation/data/single/total_bytes", "2147483648\n");
    const auto zfs = "proc/spl/kstat/zfs/"s;
    write(zfs + "arcstats",
          "6 1 0x01 91 4368 5266997922 97951858082072\nname type data\nhits 4 8772612\n"
          "misses 4 604635\n");
    write(zfs + "tank/state", "ONLINE\n");
    write(zfs + "tank/io", "nread nwritten\n1884160 3206144\n");
    write(zfs + "tank/objset-0x36", "name type data\ndataset_name 7 tank/set\nwrites 4 41\n");
  }

  static std::string make_folder() {
    char name[] = "/tmp/msp-agent-garbled-XXXXXX";
    return mkdtemp(name);
  }

  const fs::path folder_ = make_folder();
  const collectors::HostPaths paths_{folder_ / "proc", folder_ / "sys", folder_ / "root"};
  std::optional<ScriptedBus> bus_;
};

/// Without the metrics that stay, with labels left out.
inline Lines without_info(Lines lines) {
  std::erase_if(lines, [](const auto& line) { return line.find("_info{") != line.npos; });
  return lines;
}

/// What is in `before` and not in `after`.
inline Lines missing(const Lines& before, const Lines& after) {
  Lines lines;
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::inserter(lines, lines.end()));
  return lines;
}

}  // namespace msp::test
