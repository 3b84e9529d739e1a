// What a tick costs on this very host, and beside it what the kernel alone charges for the same
// data.
//
//   collect_bench [--ticks N]                      N ticks back to back (default 5000): warm caches
//   collect_bench --cadence SECONDS [--ticks N]    a tick every SECONDS (N is 8 by default): cold
//   caches, as in service
//   collect_bench --compare [--ticks N]            the nine first collectors beside the default set
//   collect_bench --each [--ticks N]               each collector of the default set alone
//   collect_bench --trees [WORD]                   hosts of files of two sizes, and whether four times
//   as many cost four times as much (docs/cost.md has its table)
//
// "agent" is HostSource with every collector that is on by default and not costly. "floor" is a bare loop
// over the table below: one pread of each file on a kept descriptor, uname, and statvfs of the
// mounts that the filesystem collector reports. The two take turns in one run, because the same
// host is up to twice as fast an hour later. CPU time is user and system together as getrusage
// counts it, of the calling thread and of the process (collectors may own threads). It measures; it
// does not judge.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/sources/host.h"
#include "tests/support/collector_options.h"
#include "tests/support/file_host.h"

namespace {

std::size_t g_allocations = 0;

}  // namespace

// Not inlined: the compiler would take the pair of malloc and free for a mistake.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  __atomic_fetch_add(&g_allocations, 1, __ATOMIC_RELAXED);
  if (void* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  __atomic_fetch_add(&g_allocations, 1, __ATOMIC_RELAXED);
  return std::malloc(bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace msp {
namespace {

struct FloorFile {
  std::string_view collector;
  const char* path;
};

// What a collector cannot do without; a file that this host does not have costs neither side
// anything.
constexpr FloorFile kFloorFiles[] = {
    {"arp", "/proc/net/arp"},
    {"conntrack", "/proc/net/stat/nf_conntrack"},
    {"conntrack", "/proc/sys/net/netfilter/nf_conntrack_count"},
    {"conntrack", "/proc/sys/net/netfilter/nf_conntrack_max"},
    {"cpu", "/proc/stat"},  // stat reads it too: one read serves both
    {"diskstats", "/proc/diskstats"},
    {"entropy", "/proc/sys/kernel/random/entropy_avail"},
    {"entropy", "/proc/sys/kernel/random/poolsize"},
    {"filefd", "/proc/sys/fs/file-nr"},
    {"filesystem", "/proc/1/mountinfo"},
    {"kernel_hung", "/proc/sys/kernel/hung_task_detect_count"},
    {"loadavg", "/proc/loadavg"},
    {"meminfo", "/proc/meminfo"},
    {"netdev", "/proc/net/dev"},
    {"netstat", "/proc/net/netstat"},
    {"netstat", "/proc/net/snmp"},
    {"netstat", "/proc/net/snmp6"},
    {"pressure", "/proc/pressure/cpu"},
    {"pressure", "/proc/pressure/io"},
    {"pressure", "/proc/pressure/irq"},
    {"pressure", "/proc/pressure/memory"},
    {"schedstat", "/proc/schedstat"},
    {"sockstat", "/proc/net/sockstat"},
    {"sockstat", "/proc/net/sockstat6"},
    {"softnet", "/proc/net/softnet_stat"},
    {"stat", "/proc/uptime"},
    {"time", "/sys/devices/system/clocksource/clocksource0/available_clocksource"},
    {"time", "/sys/devices/system/clocksource/clocksource0/current_clocksource"},
    {"udp_queues", "/proc/net/udp"},
    {"udp_queues", "/proc/net/udp6"},
    {"vmstat", "/proc/vmstat"},
};

class Floor {
 public:
  Floor(const std::vector<std::string>& collectors, const metrics::Scrape& scrape) {
    const std::set<std::string_view> wanted(collectors.begin(), collectors.end());
    for (const auto& file : kFloorFiles) {
      Fd fd(::open(file.path, O_RDONLY | O_CLOEXEC));
      // The kernel clears a buffer of the size that is asked for before it writes one of its
      // settings.
      const bool is_setting = std::string_view(file.path).starts_with("/proc/sys/");
      if (wanted.contains(file.collector) && fd) {
        files_.push_back({std::move(fd), is_setting ? 64 : kBytesMax});
      }
    }
    for (const auto& series : *scrape.series) {
      if (series->labels.get(metrics::kMetricName) != "node_filesystem_size_bytes") continue;
      mounts_.emplace_back(series->labels.get("mountpoint"));
    }
    content_.resize(kBytesMax);
  }

  void pass() {
    for (const auto& [fd, bytes_max] : files_) {
      bytes_ = ::pread(fd.get(), content_.data(), bytes_max, 0);
    }
    struct statvfs filesystem;
    for (const auto& mount : mounts_) (void)::statvfs(mount.c_str(), &filesystem);
    struct utsname name;
    (void)::uname(&name);
  }

  std::size_t files() const { return files_.size(); }
  std::size_t mounts() const { return mounts_.size(); }

 private:
  struct File {
    Fd fd;
    std::size_t bytes_max;
  };
  static constexpr std::size_t kBytesMax = 1024 * 1024;

  std::vector<File> files_;
  std::vector<std::string> mounts_;
  std::string content_;
  volatile ssize_t bytes_ = 0;
};

double cpu_us(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto us = [](const timeval& t) { return static_cast<double>(t.tv_sec) * 1e6 + t.tv_usec; };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

struct Cost {
  double thread_us = 0;
  double process_us = 0;
  std::size_t allocations = 0;
  unsigned passes = 0;

  template <typename Pass>
  void measure(unsigned count, const Pass& pass) {
    const auto allocations_before = g_allocations;
    const auto thread_before = cpu_us(RUSAGE_THREAD);
    const auto process_before = cpu_us(RUSAGE_SELF);
    for (unsigned i = 0; i < count; ++i) pass();
    process_us += cpu_us(RUSAGE_SELF) - process_before;
    thread_us += cpu_us(RUSAGE_THREAD) - thread_before;
    allocations += g_allocations - allocations_before;
    passes += count;
  }
  double thread() const { return thread_us / passes; }
  double process() const { return process_us / passes; }
};

void sleep_until(std::int64_t monotonic) {
  const timespec until{static_cast<time_t>(monotonic / kNsPerSecond),
                       static_cast<long>(monotonic % kNsPerSecond)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

struct Arguments {
  bool compare = false;
  bool each = false;
  bool trees = false;
  std::string_view only = {};  // of the trees; empty: all
  double cadence_seconds = 0;  // 0: back to back
  unsigned ticks = 0;          // 0: the default of the mode
};

bool parse_arguments(int argc, char** argv, Arguments& arguments) {
  if (argc > 1 && std::string_view(argv[1]) == "--trees") {
    arguments.trees = true;
    if (argc == 3) arguments.only = argv[2];
    return argc <= 3;
  }
  arguments.compare = argc > 1 && std::string_view(argv[1]) == "--compare";
  arguments.each = argc > 1 && std::string_view(argv[1]) == "--each";
  if (arguments.compare || arguments.each) {
    --argc;
    ++argv;
  }
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--cadence") {
      arguments.cadence_seconds = parse_number<double>(argv[i + 1]).value_or(0);
      if (arguments.cadence_seconds <= 0) return false;
    } else if (name == "--ticks") {
      arguments.ticks = parse_number<unsigned>(argv[i + 1]).value_or(0);
      if (arguments.ticks == 0) return false;
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

void print(const Arguments& arguments, const Cost& agent, const Cost& floor) {
  if (arguments.cadence_seconds > 0) {
    std::printf("%u ticks, one every %g s, CPU microseconds each:\n", agent.passes,
                arguments.cadence_seconds);
  } else {
    std::printf("%u ticks back to back, CPU microseconds each:\n", agent.passes);
  }
  std::printf("           thread   process   allocations\n");
  std::printf("  agent  %8.1f  %8.1f  %12.2f\n", agent.thread(), agent.process(),
              static_cast<double>(agent.allocations) / agent.passes);
  std::printf("  floor  %8.1f  %8.1f\n", floor.thread(), floor.process());
  std::printf("  ratio  %8.2f  %8.2f\n", agent.thread() / floor.thread(),
              agent.process() / floor.process());
}

/// A set of collectors on this host, as the agent runs it: costly ones at one tick of four.
class Set {
 public:
  Set(const std::vector<std::string>& collectors, const config::Config& config)
      : host_(setup(collectors, config, false)), costly_(setup(collectors, config, true)) {
    const auto scrape_of_host = scrape(host_);
    const auto scrape_of_costly = scrape(costly_);
    series_ = scrape_of_host.values.size() + scrape_of_costly.values.size();
    floor_.emplace(sources::collectors_of(collectors, false), scrape_of_host);
    costly_floor_.emplace(sources::collectors_of(collectors, true), scrape_of_costly);
  }

  void measure(unsigned ticks) {
    for (unsigned i = 0; i < ticks; ++i) {
      cost_.measure(1, [&] { scrape(host_); });
      if (i % 4 == 0) costly_cost_.measure(1, [&] { scrape(costly_); });
    }
    for (unsigned i = 0; i < ticks; ++i) {
      floor_cost_.measure(1, [&] { floor_->pass(); });
      if (i % 4 == 0) costly_floor_cost_.measure(1, [&] { costly_floor_->pass(); });
    }
  }

  std::size_t series() const { return series_; }
  const Cost& cost() const { return cost_; }
  const Cost& costly_cost() const { return costly_cost_; }
  /// At an interval of the host's.
  double process_us() const { return (cost_.process_us + costly_cost_.process_us) / cost_.passes; }
  double floor_us() const {
    return (floor_cost_.process_us + costly_floor_cost_.process_us) / floor_cost_.passes;
  }
  double allocations() const {
    return static_cast<double>(cost_.allocations + costly_cost_.allocations) / cost_.passes;
  }

 private:
  sources::HostSource::Setup setup(const std::vector<std::string>& collectors,
                                   const config::Config& config, bool is_costly) const {
    sources::HostSource::Setup setup;
    setup.name = is_costly ? sources::kCostlySource : sources::kHostSource;
    setup.collectors = sources::collectors_of(collectors, is_costly);
    setup.options = config.collector_options;
    setup.interval = is_costly ? config.costly_interval : config.interval;
    setup.wakeup = wakeup_;
    if (is_costly) setup.self_samples = nullptr;
    return setup;
  }
  metrics::Scrape scrape(sources::HostSource& source) {
    return sources::scrape_now(source, {++number_, wall_ns()}, *wakeup_);
  }

  const std::shared_ptr<const Wakeup> wakeup_ = std::make_shared<const Wakeup>();
  sources::HostSource host_;
  sources::HostSource costly_;
  std::uint64_t number_ = 0;
  std::size_t series_ = 0;
  Cost cost_;
  Cost costly_cost_;
  std::optional<Floor> floor_;
  std::optional<Floor> costly_floor_;
  Cost floor_cost_;
  Cost costly_floor_cost_;
};

int compare(const Arguments& arguments, const config::Config& config) {
  Set nine(
      {"cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev", "stat", "time", "uname"},
      config);
  Set standard(config.collectors, config);
  const auto ticks = arguments.ticks == 0 ? 2000 : arguments.ticks;
  constexpr unsigned kTurn = 100;
  for (unsigned done = 0; done < ticks; done += kTurn) {
    nine.measure(std::min(kTurn, ticks - done));
    standard.measure(std::min(kTurn, ticks - done));
  }
  std::printf("%u ticks each, in turns, CPU microseconds of a tick:\n", ticks);
  std::printf("             series       CPU     floor  allocations\n");
  const auto print_set = [](const char* name, const Set& set) {
    std::printf("  %-9s %7zu  %8.1f  %8.1f  %11.2f\n", name, set.series(), set.process_us(),
                set.floor_us(), set.allocations());
  };
  print_set("nine", nine);
  print_set("standard", standard);
  std::printf("  ratio     %7.2f  %8.2f  %8.2f\n",
              static_cast<double>(standard.series()) / static_cast<double>(nine.series()),
              standard.process_us() / nine.process_us(), standard.floor_us() / nine.floor_us());
  std::printf("  of standard: %.1f at each tick, %.1f at one of four (costly collectors)\n",
              standard.cost().process(), standard.costly_cost().process());
  return 0;
}

/// What each collector of the default set takes by itself, beyond what a tick takes without any; beside it
/// what the kernel alone charges for its files.
int each(const Arguments& arguments, const config::Config& config) {
  const auto ticks = arguments.ticks == 0 ? 1000 : arguments.ticks;
  Set none({}, config);
  metrics::Scrape no_mounts;
  no_mounts.series = std::make_shared<const metrics::SeriesSet>();
  std::printf("%u ticks each, CPU microseconds of a tick:\n", ticks);
  std::printf("                   series       CPU     floor\n");
  for (const auto& entry : collectors::collector_registry()) {
    const std::string name(entry.name);
    if (std::ranges::find(config.collectors, name) == config.collectors.end()) continue;
    Set alone({name}, config);
    Floor floor({name}, no_mounts);
    Cost bare;
    constexpr unsigned kTurn = 100;
    for (unsigned done = 0; done < ticks; done += kTurn) {
      none.measure(std::min(kTurn, ticks - done));
      alone.measure(std::min(kTurn, ticks - done));
      bare.measure(std::min(kTurn, ticks - done), [&] { floor.pass(); });
    }
    const bool is_costly = !entry.type.costly.empty();
    const auto us = is_costly ? alone.costly_cost().process() - none.costly_cost().process()
                              : alone.cost().process() - none.cost().process();
    std::printf("  %-16s %7zu  %8.1f  %8.1f%s\n", name.c_str(), alone.series() - none.series() - 2,
                us, bare.process(), is_costly ? "  every fourth tick" : "");
  }
  return 0;
}

using test::FileHost;

void add_cpus(const FileHost& host, unsigned count) {
  std::string stat = "cpu  300 0 200 9000 10 0 5 0 0 0\n";
  std::string softnet, schedstat = "version 15\ntimestamp 1\n";
  for (unsigned i = 0; i < count; ++i) {
    stat += cat("cpu", i, " 151 1 101 4501 6 2 3 4 5 7\n");
    schedstat += cat("cpu", i, " 0 0 0 0 0 0 75 76 77\n");
    softnet +=
        "00000054 00000055 00000056 00000000 00000000 00000000 00000000 00000000 00000057 00000058 "
        "00000059 00000060 00000000\n";
    const auto folder = cat("sys/devices/system/cpu/cpu", i);
    host.write(folder + "/topology/core_id", cat(i % 64, "\n"));
    host.write(folder + "/topology/physical_package_id", cat(i / 64, "\n"));
    host.write(folder + "/thermal_throttle/core_throttle_count", "1\n");
    host.write(folder + "/thermal_throttle/package_throttle_count", "2\n");
    for (const auto* file : {"scaling_cur_freq", "scaling_min_freq", "scaling_max_freq"}) {
      host.write(cat(folder, "/cpufreq/", file), "1699981\n");
    }
  }
  host.write("proc/stat", stat + "intr 1\nctxt 1\nbtime 1\nprocesses 1\nprocs_running 1\n");
  host.write("proc/schedstat", schedstat);
  host.write("proc/net/softnet_stat", softnet);
}

void add_devices(const FileHost& host, unsigned count) {
  std::string net = "Inter-| \n face |bytes\n";
  for (unsigned i = 0; i < count; ++i) {
    net += cat("ppp", i, ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
    const auto folder = cat("sys/class/net/ppp", i);
    host.write(folder + "/statistics/rx_nohandler", "3\n");
    host.write(folder + "/operstate", "up\n");
    host.write(folder + "/carrier", "1\n");
    host.write(folder + "/mtu", "1500\n");
    host.write(folder + "/speed", "1000\n");
  }
  host.write("proc/net/dev", net);
}

void add_mounts(const FileHost& host, unsigned count) {
  std::string mounts;
  for (unsigned i = 0; i < count; ++i) {
    mounts += cat(i + 2, " 1 8:", i, " / /srv/", i, " rw - ext4 /dev/sd", i, " rw\n");
  }
  host.write("proc/1/mountinfo", mounts);
}

void add_disks(const FileHost& host, unsigned count) {
  std::string disks;
  for (unsigned i = 0; i < count; ++i) {
    disks += cat("8 ", i, " sd", i, " 1 2 3 4 5 6 7 8 9 10 11\n");
    host.write(cat("sys/block/sd", i, "/queue/rotational"), "1\n");
    host.write(cat("root/run/udev/data/b8:", i), "E:ID_MODEL=disk\n");
  }
  host.write("proc/diskstats", disks);
}

void add_processes(const FileHost& host, unsigned count) {
  for (unsigned i = 1; i <= count; ++i) {
    const auto stat = cat(i, " (x) S 0 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 98 0 9 9 9\n");
    host.write(cat("proc/", i, "/cmdline"), "x");
    host.write(cat("proc/", i, "/status"), "VmSwap: 1 kB\nvoluntary_ctxt_switches: 1\n");
    host.write(cat("proc/", i, "/stat"), stat);
    host.write(cat("proc/", i, "/task/", i, "/stat"), stat);
  }
}

void add_processes_in_trouble(const FileHost& host, unsigned count) {
  host.write("proc/meminfo", "MemTotal: 24684096 kB\nMemAvailable: 1 kB\n");
  for (unsigned i = 1; i <= count; ++i) {
    host.write(cat("proc/", i, "/stat"),
               cat(i, " (x", i % 300, ") S 0 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 98 0 9 9 9\n"));
  }
}

void add_containers(const FileHost& host, unsigned count) {
  constexpr std::pair<const char*, const char*> kFiles[] = {
      {"cgroup.procs", "4711\n"},
      {"cpu.stat", "usage_usec 61\nuser_usec 62\nsystem_usec 63\nnr_periods 64\nnr_throttled 65\n"},
      {"cpu.max", "150000 100000\n"},
      {"cpu.weight", "79\n"},
      {"memory.current", "14680064\n"},
      {"memory.peak", "14680065\n"},
      {"memory.stat", "anon 67\nfile 68\nfile_mapped 69\ninactive_file 70\n"},
      {"memory.swap.current", "71\n"},
      {"memory.events", "low 1\nmax 72\noom_kill 73\n"},
      {"memory.max", "14680066\n"},
      {"memory.swap.max", "max\n"},
      {"memory.min", "0\n"},
      {"io.stat", "8:0 rbytes=74 wbytes=75 rios=76 wios=77 dbytes=78\n"},
      {"pids.current", "9\n"},
      {"pids.max", "max\n"}};
  for (unsigned i = 1; i <= count; ++i) {
    const auto digits = cat(i);
    const auto id = std::string(64 - digits.size(), '0') + digits;
    for (const auto& [file, text] : kFiles) {
      host.write(cat("sys/fs/cgroup/system.slice/docker-", id, ".scope/", file), text);
    }
  }
}

struct Tree {
  const char* what;
  unsigned count;
  std::vector<std::string> collectors;
  void (*add)(const FileHost& host, unsigned count);
};

Cost cost_of(const Tree& tree, unsigned count, std::size_t& series) {
  const FileHost files;
  tree.add(files, count);
  ::sleep(2);  // files that have just changed are read again at each tick
  const auto wakeup = std::make_shared<const Wakeup>();
  const auto limit = test::options_of("containers");
  test::option<std::uint64_t>(limit, "containers_max") = 10'000;
  sources::HostSource source({.collectors = tree.collectors,
                              .paths = files.paths(),
                              .options = {{"containers", limit}},
                              .series_max = 10'000'000,
                              .host = {.uname = test::fake_uname,
                                       .statvfs = test::fake_statvfs,
                                       .adjtimex = test::fake_adjtimex},
                              .wakeup = wakeup});
  std::uint64_t number = 0;
  const auto tick = [&] {
    series = sources::scrape_now(source, {++number, 1}, *wakeup).values.size();
  };
  Cost cost;
  tick();
  tick();
  cost.measure(5, tick);
  return cost;
}

int measure_trees(std::string_view only) {
  const Tree trees[] = {
      {"CPUs", 1024, {"cpu", "schedstat", "softnet", "stat"}, add_cpus},
      {"CPUs, costly", 1024, {"cpufreq"}, add_cpus},
      {"network devices", 10'000, {"netdev"}, add_devices},
      {"network devices, costly", 10'000, {"netclass"}, add_devices},
      {"mounts", 5'000, {"filesystem"}, add_mounts},
      {"disks", 2'000, {"diskstats"}, add_disks},
      {"processes, costly", 5'000, {"processes"}, add_processes},
      {"process groups, costly", 5'000, {"process_groups"}, add_processes},
      {"top processes, in trouble", 5'000, {"top_processes"}, add_processes_in_trouble},
      {"containers", 1'000, {"containers"}, add_containers},
  };
  std::printf(
      "| what | how many | series | CPU of a tick, ms | of a quarter, ms | ratio | "
      "allocations |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
  for (const auto& tree : trees) {
    if (std::string_view(tree.what).find(only) == std::string_view::npos) continue;
    std::size_t series = 0;
    const auto quarter = cost_of(tree, tree.count / 4, series);
    const auto whole = cost_of(tree, tree.count, series);
    std::printf("| %s | %u | %zu | %.1f | %.1f | %.1f | %.1f |\n", tree.what, tree.count, series,
                whole.process() / 1000, quarter.process() / 1000,
                whole.process() / quarter.process(),
                static_cast<double>(whole.allocations) / whole.passes);
    std::fflush(stdout);
  }
  return 0;
}

int run(Arguments arguments) {
  if (arguments.trees) return measure_trees(arguments.only);
  const auto outcome = config::parse_config(
      "customer_id: bench\nserver_name: bench\nremote_write: {url: http://localhost/}\n", "bench");
  if (arguments.compare) return compare(arguments, outcome.config);
  if (arguments.each) return each(arguments, outcome.config);
  const auto collectors = sources::collectors_of(outcome.config.collectors, false);
  const auto wakeup = std::make_shared<const Wakeup>();
  std::uint64_t number = 0;
  sources::HostSource host({
      .collectors = collectors,
      .paths = {},
      .options = outcome.config.collector_options,
      .interval = outcome.config.interval,
      .labels = {.forced = {{"customer_id", "bench"}, {"server_name", "bench"}}, .defaults = {}},
      .wakeup = wakeup,
      .on_health_change =
          [](std::string_view name, const Error* error) {
            if (error != nullptr)
              std::fprintf(stderr, "%s: %s\n", name.data(), error->text.c_str());
          },
  });
  const auto first = sources::scrape_now(host, {++number, wall_ns()}, *wakeup);
  Floor floor(collectors, first);
  std::printf("%zu collectors, %zu series; floor: %zu files, %zu mounts, uname\n",
              collectors.size(), first.values.size(), floor.files(), floor.mounts());

  const auto tick = [&] { (void)sources::scrape_now(host, {++number, wall_ns()}, *wakeup); };
  const auto pass = [&] { floor.pass(); };
  Cost agent_cost;
  Cost floor_cost;
  if (arguments.cadence_seconds > 0) {
    if (arguments.ticks == 0) arguments.ticks = 8;
    const auto half_ns = static_cast<std::int64_t>(arguments.cadence_seconds * kNsPerSecond / 2);
    auto next = monotonic_ns();
    for (unsigned i = 0; i < arguments.ticks; ++i) {
      sleep_until(next += half_ns);
      agent_cost.measure(1, tick);
      sleep_until(next += half_ns);
      floor_cost.measure(1, pass);
    }
  } else {
    constexpr unsigned kTurn = 100;
    if (arguments.ticks == 0) arguments.ticks = 5000;
    for (unsigned done = 0; done < arguments.ticks; done += kTurn) {
      agent_cost.measure(std::min(kTurn, arguments.ticks - done), tick);
      floor_cost.measure(std::min(kTurn, arguments.ticks - done), pass);
    }
  }
  print(arguments, agent_cost, floor_cost);
  return 0;
}

}  // namespace
}  // namespace msp

int main(int argc, char** argv) {
  msp::Arguments arguments;
  if (!msp::parse_arguments(argc, argv, arguments)) {
    std::fprintf(stderr,
                 "usage: collect_bench [--compare | --each | --trees [WORD] | --cadence SECONDS] "
                 "[--ticks N]\n");
    return 2;
  }
  return msp::run(arguments);
}
