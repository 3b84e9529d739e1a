// What a kernel writes that it cannot mean: each collector on a host of files of which one is
// changed. Whatever is put in the place of a number, what cannot be known is left out and told, the
// rest is as it was, and nothing that was not there before is reported.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/support/file_host.h"

namespace msp::test {
namespace {

/// The places of the numbers in `text`, each with its length.
std::vector<std::pair<std::size_t, std::size_t>> numbers_in(const std::string& text) {
  constexpr auto kDigits = "0123456789.";
  constexpr auto kAround = " \t\n:=[]()/,";
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = text.find_first_not_of(kAround, at);
    if (begin == text.npos) break;
    const auto end = std::min(text.find_first_of(kAround, begin), text.size());
    const auto word = text.substr(begin, end - begin);
    if (word.find_first_not_of(kDigits) == word.npos) places.emplace_back(begin, end - begin);
    at = end;
  }
  return places;
}

bool is_hexadecimal(std::string_view file) {
  return file.starts_with("proc/net/udp") || file.starts_with("proc/net/tcp") ||
         file == "proc/net/ip_vs_stats" || file == "proc/net/softnet_stat" ||
         file == "proc/net/stat/nf_conntrack";
}

/// Whether its numbers may be below 0.
bool is_signed(std::string_view file) {
  return file == "sys/class/hwmon/hwmon0/temp1_input" ||
         file == "sys/class/hwmon/hwmon0/device/in0_input" ||
         file == "sys/class/power_supply/BAT/current_now" ||
         file == "sys/class/thermal/thermal_zone0/temp";
}

/// Whether its number may be -1, which says that the driver does not know it.
bool may_be_unknown(std::string_view file) {
  return file == "sys/class/net/eth0/speed" ||
         file == "sys/class/thermal/cooling_device0/cur_state";
}

bool is_for_people(const std::string& text) {
  return is_utf8(text) && text.size() < 300 &&
         std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

TEST_CASE("whatever stands in the place of a number costs that number, and is told") {
  FileHost host;
  const std::vector<std::string> garbage = {"x",
                                            "-1",
                                            "-2049562273",
                                            "18446744073709551616",
                                            "nan",
                                            "inf",
                                            "1e999",
                                            "(null)",
                                            "0x10",
                                            "\0\0"s,
                                            "1\0"s,
                                            "\x1b[2J",
                                            "1x",
                                            "\xff\xfe",
                                            std::string(5'000, '9')};
  std::size_t changes = 0, losses = 0;
  for (const auto& entry : collectors::collector_registry()) {
    const auto before = host.collect(entry.name);
    INFO(entry.name);
    REQUIRE(before.error.empty());
    REQUIRE(before.complaints.empty());
    for (const auto& file : host.files()) {
      const auto good = host.content(file);
      host.write(file, "");
      const auto without = host.collect(entry.name);
      host.write(file, good);
      if (without.error.empty() && without.samples == before.samples) continue;  // not its file
      for (const auto& [at, size] : numbers_in(good)) {
        for (const auto& put : garbage) {
          if (put == "1e999" && is_hexadecimal(file)) continue;  // there it is a number
          if (put.starts_with('-') && is_signed(file)) continue;
          if (put == "-1" && may_be_unknown(file)) continue;
          auto bad = good;
          bad.replace(at, size, put);
          host.write(file, bad);
          const auto after = host.collect(entry.name);
          INFO(file << " at " << at << ": " << quoted(put, 64));
          CHECK(after.error == "");
          CHECK(missing(without_info(after.samples), before.samples) == Lines{});  // nothing new
          const bool is_less = after.samples != before.samples;
          // Some platforms do not know their packages, and say so.
          if (put == "-1" && file.find("/topology/") != file.npos) continue;
          CHECK(after.complaints.size() == (is_less ? 1 : 0));
          for (const auto& complaint : after.complaints) {
            CHECK(is_for_people(complaint));
            CHECK(complaint.find("/" + file) != complaint.npos);
            CHECK(complaint.ends_with(" is left out"));
          }
          ++changes;
          losses += is_less ? 1 : 0;
        }
      }
      host.write(file, good);
    }
  }
  CHECK(changes > 1'500);
  CHECK(losses > 1'000);
}

TEST_CASE("a line of NULs, and NULs behind the end, cost no other line") {
  FileHost host;
  const std::vector<std::string> tables = {"proc/stat",
                                           "proc/meminfo",
                                           "proc/diskstats",
                                           "proc/net/dev",
                                           "proc/net/arp",
                                           "proc/net/snmp6",
                                           "proc/net/sockstat",
                                           "proc/net/softnet_stat",
                                           "proc/net/udp",
                                           "proc/net/rpc/nfs",
                                           "proc/net/rpc/nfsd",
                                           "proc/buddyinfo",
                                           "proc/cgroups",
                                           "proc/interrupts",
                                           "proc/softirqs",
                                           "proc/zoneinfo",
                                           "proc/schedstat",
                                           "proc/vmstat",
                                           "proc/net/stat/nf_conntrack",
                                           "proc/net/ip_vs",
                                           "proc/slabinfo",
                                           "proc/spl/kstat/zfs/arcstats",
                                           "proc/1/mountinfo"};
  const std::map<std::string, std::size_t> names = {
      // lines that a table begins with
      {"proc/net/dev", 2},  {"proc/interrupts", 1}, {"proc/net/arp", 1},
      {"proc/slabinfo", 1}, {"proc/net/udp", 1},    {"proc/net/stat/nf_conntrack", 1}};
  for (const auto& entry : collectors::collector_registry()) {
    const auto before = host.collect(entry.name);
    for (const auto& file : tables) {
      const auto good = host.content(file);
      const auto lines = static_cast<std::size_t>(std::count(good.begin(), good.end(), '\n'));
      const auto first = names.contains(file) ? names.at(file) : std::size_t{0};
      for (auto line = first; line <= lines; ++line) {
        std::size_t at = 0;
        for (std::size_t i = 0; i < line; ++i) at = good.find('\n', at) + 1;
        auto bad = good;
        bad.insert(at, line == lines ? std::string(3'000, '\0') : std::string(300, '\0') + "\n");
        host.write(file, bad);
        const auto after = host.collect(entry.name);
        INFO(entry.name << ", " << file << " before line " << line + 1);
        CHECK(after.error == "");
        CHECK(after.samples == before.samples);
        for (const auto& complaint : after.complaints) CHECK(is_for_people(complaint));
      }
      host.write(file, good);
    }
  }
}

TEST_CASE("a garbled line of names costs no line below it") {
  struct Names {
    const char* collector;
    const char* file;
    const char* name;
  };
  const Names tables[] = {{"arp", "proc/net/arp", "IP"},
                          {"conntrack", "proc/net/stat/nf_conntrack", "entries"},
                          {"interrupts", "proc/interrupts", "CPU0"},
                          {"mdadm", "proc/mdstat", "Personalities"},
                          {"udp_queues", "proc/net/udp", "tx_queue"}};
  for (const auto& [collector, file, name] : tables) {
    FileHost host;
    const auto before = host.collect(collector);
    auto content = host.content(file);
    const auto at = content.find(name);
    INFO(collector);
    REQUIRE(at != content.npos);
    content.replace(at, std::string_view(name).size(), "\x1b[2J");
    host.write(file, content);
    const auto after = host.collect(collector);
    CHECK(after.error == "");
    CHECK(after.samples == before.samples);
    for (const auto& complaint : after.complaints) CHECK(is_for_people(complaint));
  }
}

TEST_CASE("a line that is there twice counts once") {
  FileHost host;
  const std::map<std::string, std::string> tables = {
      {"cpu", "proc/stat"},
      {"stat", "proc/stat"},
      {"meminfo", "proc/meminfo"},
      {"diskstats", "proc/diskstats"},
      {"netdev", "proc/net/dev"},
      {"vmstat", "proc/vmstat"},
      {"schedstat", "proc/schedstat"},
      {"softnet", "proc/net/softnet_stat"},
  };
  for (const auto& [collector, file] : tables) {
    const auto before = host.collect(collector);
    const auto good = host.content(file);
    std::string twice;
    for (std::string_view rest = good; const auto line = next_line(rest);) {
      twice += cat(*line, "\n");
      if (line->find('|') == line->npos) twice += cat(*line, "\n");
    }
    host.write(file, twice);
    const auto after = host.collect(collector);
    host.write(file, good);
    INFO(collector);
    CHECK(after.error == "");
    CHECK(after.samples == before.samples);
    REQUIRE(after.complaints.size() == 1);
    CHECK(after.complaints[0].find("is there twice; the second line is left out") !=
          std::string::npos);
  }
}

namespace {

struct Row {
  const char* collector;
  const char* file;
  std::string from, to;
  std::string complaint;
};
const std::vector<Row> kRows = {
    {"bonding", "sys/class/net/bond0/bonding/slaves", "eth1", "e\0"s,
     "/sys/class/net/bond0/bonding/slaves: 'e\\x00' is not the name of a device; "
     "node_bonding_slaves of bond0 is left out"},
    {"buddyinfo", "proc/buddyinfo", "Normal", "No\x7fmal",
     "/proc/buddyinfo: 'Node 0, zone   No\\x7fmal   4149  10349   4443' is not "
     "'Node N, zone NAME counts'; a line is left out"},
    {"cgroups", "proc/cgroups", "memory", "mem\x1b[2J",
     "/proc/cgroups: 'mem\\x1b[2J\\t4\\t54\\t1' is not a controller and 3 numbers; "
     "a line is left out"},
    {"cpu", "proc/stat", "cpu1 152", "cpu1 -3",
     "/proc/stat: '-3' is not a count; node_cpu_seconds_total of cpu1 user is left out"},
    {"cpu", "proc/stat", " 7\n", " x\n",
     "/proc/stat: 'x' is not a count; node_cpu_guest_seconds_total of cpu0 nice is left out"},
    {"cpu", "proc/stat", "cpu1 152", "cpux 152",
     "/proc/stat: 'cpux 152 8 102 4502 9 10 11 12 13 14' is not the line of a cpu; "
     "a line is left out"},
    {"cpu", "proc/stat", "cpu0 151", "x 151",
     "/proc/stat: 'x 151 1 101 4501 6 2 3 4 5 7' is not the line of a cpu; a line is left out"},
    {"cpu", "sys/devices/system/cpu/isolated", "1\n", std::string(250, ' ') + "(null)\n",
     "/sys/devices/system/cpu/isolated: '(null)' is not a list of CPUs; "
     "node_cpu_isolated is left out"},
    {"cpu", "sys/devices/system/cpu/isolated", "1\n", "5-2\n",
     "/sys/devices/system/cpu/isolated: '5-2' is not a list of CPUs; "
     "node_cpu_isolated is left out"},
    {"cpu", "sys/devices/system/cpu/isolated", "1\n", "0-4294967295\n",
     "/sys/devices/system/cpu/isolated: '0-4294967295' is not a list of CPUs; "
     "node_cpu_isolated is left out"},
    {"cpu", "sys/devices/system/cpu/cpu1/online", "1\n", "2\n",
     "/sys/devices/system/cpu/cpu1/online: '2' is not a count; "
     "node_cpu_online of cpu1 is left out"},
    {"cpu", "sys/devices/system/cpu/cpu1/topology/core_id", "1\n", "\n",
     "/sys/devices/system/cpu/cpu1/topology/core_id: '' is not a count; "
     "node_cpu_core_throttles_total of cpu1 is left out"},
    {"cpu", "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "31\n", "-1\n",
     "/sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count: '-1' is not a count; "
     "node_cpu_core_throttles_total of package 0 core 1 is left out"},
    {"diskstats", "proc/diskstats", "sda 10", "sda -1",
     "/proc/diskstats: '-1' is not a count; node_disk_reads_completed_total of sda is left out"},
    {"diskstats", "proc/diskstats", " 27 28 29\n", "\n",
     "/proc/diskstats: '18 19 21 22 23 24 25 26' is not 11 numbers or more; "
     "the line of sdb is left out"},
    {"diskstats", "root/run/udev/data/b8:0", "7200", "-nan",
     "/root/run/udev/data/b8:0: '-nan' is not a number of 0 or more; "
     "node_disk_ata_rotation_rate_rpm of sda is left out"},
    {"diskstats", "root/run/udev/data/b8:0", "MODEL=disk", "MODEL=di\0k"s,
     "/root/run/udev/data/b8:0: 'E:ID_MODEL=di\\x00k' is not a property; "
     "what it says of sda is left out"},
    {"hwmon", "sys/class/hwmon/hwmon0/fan1_input", "1200", "-1",
     "/sys/class/hwmon/hwmon0/fan1_input: '-1' is not a count; node_hwmon_fan_rpm is left out"},
    {"loadavg", "proc/loadavg", "0.18", "inf",
     "/proc/loadavg: 'inf' is not a load of 0 or more; node_load5 is left out"},
    {"mdadm", "proc/mdstat", "[2/2]", "[2/x]",
     "/proc/mdstat: '523968 blocks super 1.2 [2/x] [UU]' is not a line with '[disks/active]'; "
     "node_md_disks of md0 is left out"},
    {"meminfo", "proc/meminfo", "100 kB", "x kB",
     "/proc/meminfo: 'x kB' is not a size; node_memory_MemFree_bytes is left out"},
    {"meminfo", "proc/meminfo", "100 kB", "18446744073709551604 kB",
     "/proc/meminfo: '18446744073709551604 kB' is not a size; "
     "node_memory_MemFree_bytes is left out"},
    {"meminfo", "proc/meminfo", "100 kB", "100 MB",
     "/proc/meminfo: '100 MB' is not a size; node_memory_MemFree_bytes is left out"},
    {"netdev", "proc/net/dev", "eth0: 21", "eth0: -1",
     "/proc/net/dev: '-1' is not a count; node_network_receive_bytes_total of eth0 is left out"},
    {"netdev", "proc/net/dev", " 35 36\n", "\n",
     "/proc/net/dev: '21 22 23 24 25 26 27 28 29 30 31 32 33 34' is not 16 numbers; "
     "the line of eth0 is left out"},
    {"netdev", "sys/class/net/eth0/statistics/rx_nohandler", "9\n", "\x1b[2J\n",
     "/sys/class/net/eth0/statistics/rx_nohandler: '\\x1b[2J' is not a count; "
     "node_network_receive_nohandler_total of eth0 is left out"},
    {"netclass", "sys/class/net/eth0/speed", "10000", "-10",
     "/sys/class/net/eth0/speed: '-10' is not a count or -1; node_network_speed_bytes is left out"},
    {"os", "root/etc/os-release", "AlmaLinux", "Alma\x1b[2J",
     "/root/etc/os-release: 'Alma\\x1b[2J' is not a line of text; "
     "a label of node_os_info is left out"},
    {"powersupplyclass", "sys/class/power_supply/BAT/cycle_count", "213", "-1",
     "/sys/class/power_supply/BAT/cycle_count: '-1' is not a count; "
     "node_power_supply_cyclecount is left out"},
    {"stat", "proc/stat", "4242", "-2049562273",
     "/proc/stat: '-2049562273' is not a count; node_forks_total is left out"},
    {"stat", "proc/stat", "ctxt", "c\x1bxt",
     "/proc/stat: 'c\\x1bxt' is not the name of a line; a line is left out"},
    {"stat", "proc/uptime", "86400.12", "nan",
     "/proc/uptime: 'nan' is not a number of 0 or more; node_uptime_seconds is left out"},
    {"time", "sys/devices/system/clocksource/clocksource0/available_clocksource", "acpi_pm",
     "\x1b[2J",
     "/sys/devices/system/clocksource/clocksource0/available_clocksource: '\\x1b[2J' is not the "
     "name of a clock source; node_time_clocksource_available_info is left out"},
    {"time", "sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc", "tsc hpet",
     "/sys/devices/system/clocksource/clocksource0/current_clocksource: 'tsc hpet' is not one "
     "clock source; all but the first is left out"},
};

}  // namespace

TEST_CASE("what a garbled value is told as") {
  for (const auto& row : kRows) {
    FileHost host;
    const auto before = host.collect(row.collector);
    auto content = host.content(row.file);
    const auto at = content.find(row.from);
    INFO(row.collector << ", " << row.file << ": " << quoted(row.to, 64));
    REQUIRE(at != content.npos);
    content.replace(at, row.from.size(), row.to);
    host.write(row.file, content);
    const auto after = host.collect(row.collector);
    CHECK(after.error == "");
    CHECK(after.complaints == std::vector{row.complaint});
  }
}

TEST_CASE("filesystem: a number of blocks below 0 is no size") {
  FileHost host;
  host.write("proc/1/mountinfo", "24 1 8:1 / / rw - nfs4 a:/b rw\n");
  const auto before = host.collect("filesystem");
  for (const auto blocks : {~std::uint64_t{0}, ~std::uint64_t{0} - 1'000}) {
    g_answer.f_bavail = blocks;
    const auto after = host.collect("filesystem");
    REQUIRE(after.error == "");
    CHECK(after.samples.size() == before.samples.size() - 1);
    CHECK(after.complaints ==
          std::vector{cat("statvfs(2): '", blocks, "' is not a number of blocks; ",
                          "node_filesystem_avail_bytes of / is left out")});
  }
}

TEST_CASE("options that nobody has set want every device and mount") {
  const FileHost host;  // collects with the options as their type has them
  for (const auto* collector : {"diskstats", "netdev", "filesystem"}) {
    const auto report = host.collect(collector);
    INFO(collector);
    CHECK(report.error == "");
    CHECK(report.samples.size() > 10);
  }
}

TEST_CASE("uname: a field without an end does not run into the next one") {
  const FileHost host;
  const auto report = host.collect("uname");
  REQUIRE(report.samples.size() == 1);
  CHECK(report.samples.begin()->find("sysname=\"" + std::string(65, 'x') + "\"") !=
        std::string::npos);
}

}  // namespace msp::test
