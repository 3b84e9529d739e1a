// What a tick costs on this very host, and beside it what the kernel alone charges for the same
// data.
//
//   collect_bench [--ticks N]                      N ticks back to back (default 5000): warm caches
//   collect_bench --cadence SECONDS [--ticks N]    a tick every SECONDS (N is 8 by default): cold
//   caches, as in service
//
// "agent" is HostSource with every collector that is on by default. "floor" is a bare loop
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
#include <set>
#include <string>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/sources/host.h"

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
  Floor(const std::vector<std::string>& collectors, const Scrape& scrape) {
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
      if (series->labels.get(kMetricName) != "node_filesystem_size_bytes") continue;
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
  double cadence_seconds = 0;  // 0: back to back
  unsigned ticks = 0;          // 0: the default of the mode
};

bool parse_arguments(int argc, char** argv, Arguments& arguments) {
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

int run(Arguments arguments) {
  const auto outcome = parse_config(
      "customer_id: bench\nserver_name: bench\nremote_write: {url: http://localhost/}\n", "bench");
  std::vector<std::string> collectors;
  for (const auto& entry : collector_registry()) {
    if (entry.default_on) collectors.emplace_back(entry.name);
  }
  const auto wakeup = std::make_shared<const Wakeup>();
  std::uint64_t number = 0;
  HostSource host({
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
  const auto first = scrape_now(host, {++number, wall_ns()}, *wakeup);
  Floor floor(collectors, first);
  std::printf("%zu collectors, %zu series; floor: %zu files, %zu mounts, uname\n",
              collectors.size(), first.values.size(), floor.files(), floor.mounts());

  const auto tick = [&] { (void)scrape_now(host, {++number, wall_ns()}, *wakeup); };
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
    std::fprintf(stderr, "usage: collect_bench [--cadence SECONDS] [--ticks N]\n");
    return 2;
  }
  return msp::run(arguments);
}
