// Files that are none, and more of them than a process may open.
#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/sources/host.h"
#include "tests/support/file_host.h"

namespace msp::test {

TEST_CASE("a file that is a FIFO, a device or a folder is never waited for") {
  const std::set<std::string> own = {"proc/stat",
                                     "proc/loadavg",
                                     "proc/meminfo",
                                     "proc/diskstats",
                                     "proc/net/arp",
                                     "proc/net/dev",
                                     "proc/net/softnet_stat",
                                     "proc/1/mountinfo",
                                     "proc/buddyinfo",
                                     "proc/cgroups",
                                     "proc/interrupts",
                                     "proc/softirqs",
                                     "proc/zoneinfo",
                                     "proc/vmstat",
                                     "proc/sys/fs/file-nr",
                                     "proc/schedstat",
                                     "root/etc/os-release",
                                     "proc/mdstat",
                                     "proc/net/rpc/nfs",
                                     "proc/net/rpc/nfsd",
                                     "proc/self/mountstats",
                                     "proc/self/mountinfo",
                                     "proc/net/ip_vs_stats",
                                     "proc/net/tcp",
                                     "proc/slabinfo",
                                     "sys/class/net/bonding_masters"};
  for (const auto& entry : collectors::collector_registry()) {
    FileHost host;
    // Where pid 1's table cannot be read, the filesystem collector reads this one.
    if (entry.name == "filesystem") fs::remove(host.path("proc/self/mountinfo"));
    const auto before = host.collect(entry.name);
    for (const auto& file : host.files()) {
      const auto good = host.content(file);
      const auto path = host.path(file);
      fs::remove(path);
      const bool is_its_file = host.collect(entry.name).samples != before.samples;
      for (const auto* kind : {"fifo", "device", "folder"}) {
        if (!is_its_file && kind != "fifo"s) continue;
        fs::remove_all(path);
        if (kind == "fifo"s) REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        if (kind == "device"s) fs::create_symlink("/dev/zero", path);
        if (kind == "folder"s) fs::create_directory(path);
        alarm(60);  // a collector that waits would wait for ever
        const auto after = host.collect(entry.name);
        alarm(0);
        INFO(entry.name << ", " << file << " is a " << kind);
        CHECK(missing(without_info(after.samples), before.samples) == Lines{});
        if (after.samples == before.samples) continue;
        // Its own file costs it all, one beside it what is read from that one.
        const bool is_own =
            own.contains(file) && entry.name != "containers" && entry.name != "process_groups";
        CHECK(after.error.empty() == !is_own);
        CHECK(after.complaints.size() == (is_own ? 0 : 1));
      }
      fs::remove_all(path);
      host.write(file, good);
    }
  }
}

TEST_CASE("a file where a folder should be (node_exporter#2481) costs what is below it") {
  FileHost host;
  const auto before = host.collect("cpu");
  SECTION("a cpu's topology") {
    fs::remove_all(host.path("sys/devices/system/cpu/cpu1/topology"));
    host.write("sys/devices/system/cpu/cpu1/topology", "");
  }
  SECTION("all of sysfs") {
    fs::remove_all(host.path("sys"));
    host.write("sys", "");
  }
  const auto after = host.collect("cpu");
  CHECK(after.error == "");
  CHECK(missing(after.samples, before.samples) == Lines{});
  CHECK(after.samples.size() >= 20);
  CHECK_FALSE(after.complaints.empty());
}

TEST_CASE("2,048 cpus and 500 devices are collected with 256 descriptors") {
  constexpr unsigned kCpus = 2'048, kDevices = 500, kClocks = 100;
  FileHost host;
  std::string stat = "cpu  1 2 3 4\n";
  for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
    stat += cat("cpu", cpu, " 1 2 3 4 5 6 7 8 9 10\n");
    const auto folder = cat("sys/devices/system/cpu/cpu", cpu);
    host.write(folder + "/topology/core_id", cat(cpu, "\n"));
    host.write(folder + "/topology/physical_package_id", cat(cpu / 64, "\n"));
    host.write(folder + "/thermal_throttle/core_throttle_count", "1\n");
    host.write(folder + "/thermal_throttle/package_throttle_count", "2\n");
  }
  host.write("proc/stat", stat + "intr 1\nbtime 1\n");
  std::string net = "Inter-| \n face |bytes\n", disks;
  for (unsigned i = 0; i < kDevices; ++i) {
    net += cat("ppp", i, ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
    host.write(cat("sys/class/net/ppp", i, "/statistics/rx_nohandler"), "3\n");
    disks += cat("8 ", i, " sd", i, " 1 2 3 4 5 6 7 8 9 10 11\n");
    host.write(cat("sys/block/sd", i, "/queue/rotational"), "1\n");
  }
  host.write("proc/net/dev", net);
  host.write("proc/diskstats", disks);
  for (unsigned i = 0; i < kClocks; ++i) {
    const auto folder = cat("sys/devices/system/clocksource/clocksource", i);
    host.write(folder + "/available_clocksource", "tsc\n");
    host.write(folder + "/current_clocksource", "tsc\n");
  }

  struct rlimit before {};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const struct rlimit few { 256, before.rlim_max };
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  std::vector<std::string> names, failures;
  for (const auto& entry : collectors::collector_registry()) names.emplace_back(entry.name);
  sources::HostSource source(
      {.collectors = names,
       .paths = host.paths(),
       .options = {},
       .labels = {},
       .series_max = 1'000'000,
       .host = {.uname = fake_uname, .statvfs = fake_statvfs, .adjtimex = fake_adjtimex},
       .on_health_change =
           [&](std::string_view name, const Error* error) {
             if (error != nullptr) failures.push_back(cat(name, ": ", error->text));
           },
       .on_complaint = [&](std::string_view name, std::string_view text,
                           bool) { failures.push_back(cat(name, ": ", text)); }});
  const Wakeup wakeup;
  std::map<std::string, std::size_t> counts;
  for (int tick = 1; tick <= 2; ++tick) {
    counts.clear();
    const metrics::Tick now{static_cast<std::uint64_t>(tick), tick * 1'000'000'000};
    for (const auto& series : *sources::scrape_now(source, now, wakeup).series) {
      ++counts[std::string(series->labels.get(metrics::kMetricName))];
    }
  }
  const auto open = std::distance(fs::directory_iterator("/proc/self/fd"), {});
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(failures == std::vector<std::string>{});
  CHECK(counts["node_cpu_core_throttles_total"] == kCpus);
  CHECK(counts["node_cpu_package_throttles_total"] == kCpus / 64);
  CHECK(counts["node_network_receive_nohandler_total"] == kDevices);
  CHECK(counts["node_disk_info"] == kDevices);
  CHECK(counts["node_time_clocksource_current_info"] == kClocks);
  CHECK(open < 144);
}

}  // namespace msp::test
