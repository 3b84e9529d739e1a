// What a kernel writes that it cannot mean: each collector on a host of files of which one is
// changed. Whatever is put in the place of a number, what cannot be known is left out and told, the
// rest is as it was, and nothing that was not there before is reported.
#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/metrics/exposition.h"
#include "agent/sources/scraper.h"
#include "collectors/registry.h"
#include "tests/support/fixture_host.h"

namespace fs = std::filesystem;

namespace msp::test {
namespace {

using namespace std::string_literals;

struct statvfs g_answer;

int fake_statvfs(const char*, struct statvfs* out) {
  *out = g_answer;
  return 0;
}

int fake_uname(struct utsname* out) {
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
      const auto part = entry.make({paths_, host, options, files});
      builder.begin(writer);
      auto outcome = part->collect({1, 1'700'000'000'250'000'000}, writer);
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
Lines without_info(Lines lines) {
  std::erase_if(lines, [](const auto& line) { return line.starts_with("node_disk_info"); });
  return lines;
}

/// What is in `before` and not in `after`.
Lines missing(const Lines& before, const Lines& after) {
  Lines lines;
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::inserter(lines, lines.end()));
  return lines;
}

/// The places of the numbers in `text`, each with its length.
std::vector<std::pair<std::size_t, std::size_t>> numbers_in(const std::string& text) {
  constexpr auto kDigits = "0123456789.";
  constexpr auto kAround = " \t\n:=";
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
  for (const auto& entry : collector_registry()) {
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
  const std::vector<std::string> tables = {"proc/stat", "proc/meminfo", "proc/diskstats",
                                           "proc/net/dev", "proc/1/mountinfo"};
  for (const auto& entry : collector_registry()) {
    const auto before = host.collect(entry.name);
    for (const auto& file : tables) {
      const auto good = host.content(file);
      const auto lines = static_cast<std::size_t>(std::count(good.begin(), good.end(), '\n'));
      const auto first = file == "proc/net/dev" ? std::size_t{2} : std::size_t{0};
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

TEST_CASE("a line that is there twice counts once") {
  FileHost host;
  const std::map<std::string, std::string> tables = {
      {"cpu", "proc/stat"},        {"stat", "proc/stat"},
      {"meminfo", "proc/meminfo"}, {"diskstats", "proc/diskstats"},
      {"netdev", "proc/net/dev"},
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

TEST_CASE("what a garbled value is told as") {
  struct Row {
    const char* collector;
    const char* file;
    std::string from, to;
    std::string complaint;
  };
  const std::vector<Row> rows = {
      {"cpu", "proc/stat", "cpu1 152", "cpu1 -3",
       "/proc/stat: '-3' is not a count; node_cpu_seconds_total of cpu1 user is left out"},
      {"cpu", "proc/stat", " 7\n", " x\n",
       "/proc/stat: 'x' is not a count; node_cpu_guest_seconds_total of cpu0 nice is left out"},
      {"cpu", "proc/stat", "cpu1 152", "cpux 152",
       "/proc/stat: 'cpux 152 8 102 4502 9 10 11 12 13 14' is not the line of a cpu; "
       "a line is left out"},
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
      {"loadavg", "proc/loadavg", "0.18", "inf",
       "/proc/loadavg: 'inf' is not a load of 0 or more; node_load5 is left out"},
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
  for (const auto& row : rows) {
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
  const FileHost host;  // collects with CollectorOptions{}
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

TEST_CASE("a file that is a FIFO, a device or a folder is never waited for") {
  alarm(60);  // a collector that waits would wait for ever
  const std::set<std::string> own = {"proc/stat",      "proc/loadavg", "proc/meminfo",
                                     "proc/diskstats", "proc/net/dev", "proc/1/mountinfo"};
  for (const auto& entry : collector_registry()) {
    FileHost host;
    const auto before = host.collect(entry.name);
    for (const auto& file : host.files()) {
      const auto good = host.content(file);
      const auto path = host.path(file);
      for (const auto* kind : {"fifo", "device", "folder"}) {
        fs::remove_all(path);
        if (kind == "fifo"s) REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        if (kind == "device"s) fs::create_symlink("/dev/zero", path);
        if (kind == "folder"s) fs::create_directory(path);
        const auto after = host.collect(entry.name);
        INFO(entry.name << ", " << file << " is a " << kind);
        CHECK(missing(without_info(after.samples), before.samples) == Lines{});
        if (after.samples == before.samples) continue;
        // Its own file costs it all, one beside it what is read from that one.
        CHECK(after.error.empty() == !own.contains(file));
        CHECK(after.complaints.size() == (own.contains(file) ? 0 : 1));
      }
      fs::remove_all(path);
      host.write(file, good);
    }
  }
  alarm(0);
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
  for (const auto& entry : collector_registry()) names.emplace_back(entry.name);
  Scraper scraper({.collectors = names,
                   .paths = host.paths(),
                   .options = {},
                   .labels = {},
                   .host = {.uname = fake_uname, .statvfs = fake_statvfs},
                   .on_health_change =
                       [&](std::string_view name, const Error* error) {
                         if (error != nullptr) failures.push_back(cat(name, ": ", error->text));
                       },
                   .on_complaint = [&](std::string_view name, std::string_view text,
                                       bool) { failures.push_back(cat(name, ": ", text)); }});
  std::map<std::string, std::size_t> counts;
  for (int tick = 1; tick <= 2; ++tick) {
    counts.clear();
    for (const auto& series : *scraper.scrape(tick * 1'000'000'000).series) {
      ++counts[std::string(series->labels.get(kMetricName))];
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
  CHECK(open < 128);
}

}  // namespace msp::test
