// A host of files, small and good, in which a test changes one.
#pragma once

#include <sys/statvfs.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/metrics/exposition.h"
#include "collectors/registry.h"
#include "tests/support/fixture_host.h"

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

using Lines = std::set<std::string>;

/// A host, and one collector of it after the other.
class FileHost {
 public:
  FileHost() {
    g_answer = {};
    g_answer.f_bsize = 4096;
    g_answer.f_blocks = 10;
    write("proc/stat",
          "cpu  300 0 200 9000 10 0 5 0 0 0\n"
          "cpu0 151 1 101 4501 6 2 3 4 5 7\n"
          "cpu1 152 8 102 4502 9 10 11 12 13 14\n"
          "intr 12345 15 16\nctxt 6789\nbtime 1700000000\nprocesses 4242\nprocs_running 1\n"
          "procs_blocked 0\n");
    write("proc/uptime", "86400.12 1234.5\n");
    write("proc/loadavg", "0.20 0.18 0.12 1/80 11206\n");
    write("proc/meminfo",
          "MemTotal:       24684096 kB\nMemFree:        100 kB\nHugePages_Total:       7\n");
    write("proc/diskstats",
          "   8       0 sda 10 1 80 5 20 2 160 6 0 7 11 12 13 14 15 16 17\n"
          "   8      16 sdb 18 19 21 22 23 24 25 26 27 28 29\n");
    write("proc/net/dev",
          "Inter-|   Receive  |  Transmit\n face |bytes    packets |bytes\n"
          "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
          "  eth0: 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36\n");
    write("proc/1/mountinfo",
          "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
          "60 24 8:2 / /srv rw - xfs /dev/sda2 rw\n");
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
  ~FileHost() { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& content) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary | std::ios::trunc) << content;
  }

  fs::path path(const std::string& name) const { return folder_ / name; }
  const HostPaths& paths() const { return paths_; }
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
    const Host host{.uname = fake_uname, .statvfs = fake_statvfs};
    const CollectorOptions options;
    ScrapeBuilder builder{TargetLabels{}};
    auto& writer = builder.add_writer();
    for (const auto& entry : collector_registry()) {
      if (entry.name != collector) continue;
      const auto wakeup = std::make_shared<const Wakeup>();
      const auto part = entry.make({paths_, host, options, files, wakeup});
      const Tick tick{1, 1'700'000'000'250'000'000};
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
      const auto text = text_format(builder.finish(0));
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
  static std::string make_folder() {
    char name[] = "/tmp/msp-agent-garbled-XXXXXX";
    return mkdtemp(name);
  }

  const fs::path folder_ = make_folder();
  const HostPaths paths_{folder_ / "proc", folder_ / "sys", folder_ / "root"};
};

/// Without node_disk_info, which stays, with labels left out.
inline Lines without_info(Lines lines) {
  std::erase_if(lines, [](const auto& line) { return line.starts_with("node_disk_info"); });
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
