// top_processes: which commands use the most CPU and memory, while the host is in trouble and only
// then: while its CPUs are busy (/proc/stat), its memory is used (/proc/meminfo), or its tasks wait
// (/proc/pressure, Documentation/accounting/psi.rst) beyond a threshold of the configuration. Those
// three are read at each tick, and are the files of cpu, meminfo and pressure; /proc/PID/stat of all
// processes,
//   811 (nginx: worker) S 810 810 810 0 -1 4194624 1203 0 4 0 88 41 0 0 20 0 3 0 7044 ...
// only in trouble, in a thread of its own.
//
// Processes of one command are one sum. CPU is what was used since the look before, so that it is
// known from the second tick of trouble on; a process that has ended since is not seen. Memory that
// processes share counts in each. Nothing is kept of a trouble that is over.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/detached_thread.h"
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/optional_file.h"
#include "collectors/process_line.h"
#include "collectors/slow_reading.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kTrouble{
    "msp_agent_top_process_trouble_ratio",
    "What is over its threshold: the share of CPU, of memory, or of time that tasks have waited.",
    "/proc/stat, /proc/meminfo, /proc/pressure", MetricType::gauge, "of"};
constexpr MetricDesc kCpu{
    "msp_agent_top_process_cpu_cores",
    "CPUs that all processes of a command have used since the tick before, of the five that used "
    "most.",
    "/proc/PID/stat, /proc/stat", MetricType::gauge, "command"};
constexpr MetricDesc kResident{
    "msp_agent_top_process_resident_bytes",
    "Resident memory of all processes of a command, of the five that have most.", "/proc/PID/stat",
    MetricType::gauge, "command"};
constexpr MetricDesc kCount{"msp_agent_top_process_count",
                            "Processes of a command that is among the five by CPU or by memory.",
                            "/proc/PID/stat", MetricType::gauge, "command"};

constexpr std::size_t kTopMax = 5;

struct Options {
  std::uint64_t cpu_percent = 90;
  std::uint64_t memory_percent = 90;
  std::uint64_t pressure_percent = 40;
  friend bool operator==(const Options&, const Options&) = default;
};

constexpr key_type::Number kPercent{0, 100};
constexpr ConfigKey kOptions[] = {
    key<&Options::cpu_percent>(
        "cpu_percent", kPercent,
        {"From how much CPU on the host is in trouble: the share that all CPUs together were busy "
         "since the tick before.\nWith 0 this is not looked at.",
         "95"}),
    key<&Options::memory_percent>(
        "memory_percent", kPercent,
        {"From how much memory on: the share that is not available.\nWith 0 this is not looked at.",
         "95"}),
    key<&Options::pressure_percent>(
        "pressure_percent", kPercent,
        {"From how much pressure on: the share of 10 s in which tasks waited for CPU, memory or "
         "I/O.\nWith 0 this is not looked at.",
         "60"}),
};

/// Time of all CPUs together, in USER_HZ of a second.
struct CpuTime {
  std::uint64_t total = 0;  // 0: not known
  std::uint64_t idle = 0;
  unsigned cpus = 0;
};

/// What one process has used.
struct Process {
  unsigned pid = 0;
  std::uint64_t start = 0, cpu = 0;  // in USER_HZ of a second
};

/// What became of a look at all processes.
struct Look {
  struct Command {
    std::string name;
    double cpu_cores = 0, resident_pages = 0;
    std::size_t processes = 0;
    bool is_of_cpu = false, is_of_memory = false;  // among the first of them
  };
  std::vector<Command> top = {};
  std::vector<Process> processes = {};  // by number
  CpuTime at = {};
  std::string garbled_file = {};  // the first; empty: none
  std::string garbled_text = {};
};

/// The kernel's names of its own threads say what they work on at the moment, "kworker/3:1-events".
std::string_view command_of(const ProcessLine& stat) {
  return stat.is_of_kernel ? stat.comm.substr(0, stat.comm.find_first_of("/:")) : stat.comm;
}

struct Sum {
  std::uint64_t cpu = 0, resident_pages = 0;
  std::size_t processes = 0;
};
using Sums = std::map<std::string, Sum, std::less<>>;

/// What a process has used since the look before, in which all began until `newest`. One that is not
/// in that look counts in full where it has begun since, and else not at all.
std::uint64_t used_since(const Look& before, std::uint64_t newest, const Process& now) {
  const auto found = std::ranges::lower_bound(before.processes, now.pid, {}, &Process::pid);
  if (found != before.processes.end() && found->pid == now.pid && found->start == now.start) {
    return now.cpu > found->cpu ? now.cpu - found->cpu : 0;
  }
  return now.start > newest ? now.cpu : 0;
}

using Largest = std::array<const Sums::value_type*, kTopMax>;

/// Those of which the most of `what` is used, the first by name where they use as much; null behind
/// the last.
Largest largest(const Sums& sums, std::uint64_t Sum::*what) {
  Largest found{};
  for (const auto& sum : sums) {
    const auto* next = &sum;
    for (auto& place : found) {
      if (next->second.*what == 0) break;
      if (place != nullptr && place->second.*what >= next->second.*what) continue;
      std::swap(place, next);
      if (next == nullptr) break;
    }
  }
  return found;
}

Look::Command& command_in(std::vector<Look::Command>& top, const Sums::value_type& sum) {
  const auto found = std::ranges::find(top, sum.first, &Look::Command::name);
  if (found != top.end()) return *found;
  return top.emplace_back(Look::Command{.name = sum.first, .processes = sum.second.processes});
}

/// Into `look`, which is empty; `before` is null where there was no look lately.
void look_at(const std::string& procfs, const CpuTime& at,
             const std::shared_ptr<const Look>& before, Look& look) {
  look.at = at;
  const SysFolder proc(procfs);
  std::vector<std::string> names;
  proc.list_folders(names);
  const auto newest = before == nullptr || before->processes.empty()
                          ? 0
                          : std::ranges::max_element(before->processes, {}, &Process::start)->start;
  Sums sums;
  for (const auto& name : names) {
    const auto pid = parse_number<unsigned>(name);
    if (!pid) continue;
    char file[32];
    std::snprintf(file, sizeof file, "%u/stat", *pid);
    const auto content = proc.read(file);
    if (has_no_value(content.error) || content.error == ESRCH) continue;  // it has ended
    const auto stat = content.error == 0 ? parse_process_line(content.text(), *pid) : std::nullopt;
    if (!stat) {
      if (look.garbled_file.empty()) {
        look.garbled_file = proc.path(file);
        look.garbled_text = content.text();
      }
      continue;
    }
    const Process process{*pid, stat->start, stat->user + stat->system};
    look.processes.push_back(process);
    std::string command(command_of(*stat));
    make_utf8(command);
    auto& sum = sums[std::move(command)];
    ++sum.processes;
    sum.resident_pages += stat->resident_pages;
    if (before != nullptr) sum.cpu += used_since(*before, newest, process);
  }
  std::ranges::sort(look.processes, {}, &Process::pid);
  for (const auto* const sum : largest(sums, &Sum::resident_pages)) {
    if (sum == nullptr) break;
    auto& command = command_in(look.top, *sum);
    command.is_of_memory = true;
    command.resident_pages = static_cast<double>(sum->second.resident_pages);
  }
  if (before == nullptr) return;
  const auto elapsed = static_cast<double>(at.total - before->at.total) / at.cpus;
  for (const auto* const sum : largest(sums, &Sum::cpu)) {
    if (sum == nullptr) break;
    auto& command = command_in(look.top, *sum);
    command.is_of_cpu = true;
    command.cpu_cores = static_cast<double>(sum->second.cpu) / elapsed;
  }
}

class TopProcesses : public Collector {
 public:
  explicit TopProcesses(const CollectorContext& context)
      : options_(context.options.as<Options>()),
        procfs_(context.paths.procfs),
        stat_(context, context.paths.proc("stat"), KeptFile::End::short_read),
        meminfo_(context, context.paths.proc("meminfo"), KeptFile::End::short_read),
        pressure_{{{context, context.paths.proc("pressure/cpu"), KeptFile::End::short_read},
                   {context, context.paths.proc("pressure/io"), KeptFile::End::short_read},
                   {context, context.paths.proc("pressure/memory"), KeptFile::End::short_read}}},
        reading_(procfs_, context.wakeup) {}

  Result<bool> begin(const Tick& tick) override;
  std::int64_t wait_ns() override { return reading_.wait_ns(); }
  Result<void> collect(const Tick& tick, SeriesWriter& out) override;

 private:
  enum Of { kOfCpu, kOfMemory, kOfPressure, kOfAll = kOfPressure + 3 };
  static constexpr std::string_view kNames[] = {"cpu", "memory", "pressure_cpu", "pressure_io",
                                                "pressure_memory"};
  struct Garbled {
    const OptionalFile* file;
    std::string text;
    std::string_view expected;
  };

  void measure(const Tick& tick);
  void measure_cpu(std::string_view stat);
  void measure_memory(std::string_view meminfo);
  void measure_pressure(Of of, const OptionalFile& file, std::string_view pressure);
  void note(Of of, double ratio, std::uint64_t percent);
  std::shared_ptr<const Look> look_before() const;

  const Options& options_;
  const std::string procfs_;
  OptionalFile stat_;
  OptionalFile meminfo_;
  std::array<OptionalFile, 3> pressure_;
  CpuTime cpu_;  // of this tick
  std::array<std::optional<double>, kOfAll> over_;
  std::vector<Garbled> garbled_;
  bool is_in_trouble_ = false;
  std::shared_ptr<const Look> before_;  // null where there was none
  SlowReading reading_;
  std::shared_ptr<const Look> look_;  // the thread's, until it is done
  const double page_bytes_ = static_cast<double>(::sysconf(_SC_PAGESIZE));
};

void TopProcesses::note(Of of, double ratio, std::uint64_t percent) {
  if (ratio * 100 < static_cast<double>(percent)) return;
  over_[of] = ratio;
  is_in_trouble_ = true;
}

/// "cpu  user nice system idle iowait irq softirq steal ..": time in guests is in user and nice.
void TopProcesses::measure_cpu(std::string_view stat) {
  const auto before = std::exchange(cpu_, {});
  CpuTime now;
  auto line = next_line(stat).value_or("");
  constexpr std::size_t kIdle = 3, kIoWait = 4, kSteal = 7;
  const auto name = next_word(line);
  const CountersLine<kSteal + 1> columns(line, kGarbledLater);
  if (name != "cpu" || columns.is_good.count() != columns.found || columns.found <= kIdle) {
    garbled_.push_back({&stat_, cat(name, " ", line), "the time of all CPUs"});
    return;
  }
  for (std::size_t i = 0; i < columns.found; ++i) now.total += columns.values[i];
  now.idle = columns.values[kIdle];
  if (columns.found > kIoWait) now.idle += columns.values[kIoWait];
  for (auto next = next_line(stat); next && next->starts_with("cpu"); next = next_line(stat)) {
    ++now.cpus;
  }
  if (now.cpus == 0) return;
  cpu_ = now;
  // Idle time is an estimate, and may step back; a CPU that is unplugged takes its time away.
  if (before.total == 0 || now.total <= before.total || now.idle < before.idle) return;
  const auto total = now.total - before.total;
  const auto idle = std::min(now.idle - before.idle, total);
  const auto busy = static_cast<double>(total - idle) / static_cast<double>(total);
  if (options_.cpu_percent > 0) note(kOfCpu, busy, options_.cpu_percent);
}

/// "MemAvailable:   20113408 kB", which no kernel before 3.14 has.
void TopProcesses::measure_memory(std::string_view meminfo) {
  std::optional<std::uint64_t> total, available;
  for (auto line = next_line(meminfo); line && !(total && available); line = next_line(meminfo)) {
    const auto name = next_word(*line);
    if (name != "MemTotal:" && name != "MemAvailable:") continue;
    const auto word = next_word(*line);
    const auto kilobytes = parse_number<std::uint64_t>(word);
    if (!kilobytes) garbled_.push_back({&meminfo_, std::string(word), "a size"});
    (name == "MemTotal:" ? total : available) = kilobytes;
  }
  if (!total || !available || *total == 0) return;
  const auto used = 1 - static_cast<double>(*available) / static_cast<double>(*total);
  note(kOfMemory, used, options_.memory_percent);
}

/// "some avg10=0.16 avg60=0.61 avg300=1.50 total=15074690", in percent.
void TopProcesses::measure_pressure(Of of, const OptionalFile& file, std::string_view pressure) {
  constexpr std::string_view kSome = "some avg10=";
  const auto line = next_line(pressure).value_or("");
  auto rest = line.substr(std::min(kSome.size(), line.size()));
  const auto percent = line.starts_with(kSome) ? parse_amount(next_word(rest)) : std::nullopt;
  if (!percent) {
    garbled_.push_back({&file, std::string(line), "a pressure"});
    return;
  }
  note(of, *percent / 100, options_.pressure_percent);
}

void TopProcesses::measure(const Tick& tick) {
  over_.fill(std::nullopt);
  garbled_.clear();
  is_in_trouble_ = false;
  if (const auto stat = stat_.read(tick)) {
    measure_cpu(*stat);
  } else {
    cpu_ = {};
  }
  if (options_.memory_percent > 0) {
    if (const auto meminfo = meminfo_.read(tick)) measure_memory(*meminfo);
  }
  for (std::size_t i = 0; i < pressure_.size() && options_.pressure_percent > 0; ++i) {
    if (const auto pressure = pressure_[i].read(tick)) {
      measure_pressure(static_cast<Of>(kOfPressure + i), pressure_[i], *pressure);
    }
  }
}

/// The look before this one, where it is of the last minute: over a longer time an average says
/// nothing of now.
std::shared_ptr<const Look> TopProcesses::look_before() const {
  constexpr std::uint64_t kMax = 70 * kProcessTicksPerSecond;
  const auto is_known =
      before_ != nullptr && before_->at.total > 0 && cpu_.total > before_->at.total;
  return is_known && (cpu_.total - before_->at.total) / cpu_.cpus <= kMax ? before_ : nullptr;
}

Result<bool> TopProcesses::begin(const Tick& tick) {
  measure(tick);
  if (stat_.is_missing()) return no_data(cat(stat_.path(), ": there is no such file"));
  before_ = look_before();
  if (!is_in_trouble_) return false;
  const auto look = std::make_shared<Look>();
  const auto read = [procfs = procfs_, at = cpu_, before = before_, look] {
    look_at(procfs, at, before, *look);
  };
  if (const auto started = reading_.start(read, kSmallStackBytes); !started) {
    return started.error();
  }
  look_ = look;
  return true;
}

Result<void> TopProcesses::collect(const Tick&, SeriesWriter& out) {
  for (const auto* const file : {&stat_, &meminfo_, &pressure_[0], &pressure_[1], &pressure_[2]}) {
    if (file->failure().empty()) continue;
    out.complaints().unreadable(file->path(), failed(file->failure()), {kTrouble.name});
  }
  for (const auto& [file, text, expected] : garbled_) {
    out.complaints().garbled(file->path(), text, expected, {kTrouble.name});
  }
  if (!is_in_trouble_) return {};
  if (const auto done = reading_.done(); !done) return done.error();
  before_ = look_;
  const auto& look = *look_;
  for (std::size_t i = 0; i < over_.size(); ++i) {
    if (over_[i]) out.add(kTrouble, {kNames[i]}, *over_[i]);
  }
  for (const auto& command : look.top) {
    if (command.is_of_cpu) out.add(kCpu, {command.name}, command.cpu_cores);
    if (command.is_of_memory) {
      out.add(kResident, {command.name}, command.resident_pages * page_bytes_);
    }
    out.add(kCount, {command.name}, static_cast<double>(command.processes));
  }
  if (!look.garbled_file.empty()) {
    out.complaints().garbled(look.garbled_file, look.garbled_text, "the state of a process",
                             {"the process"});
  }
  return {};
}

}  // namespace

CollectorType top_processes_collector() {
  return {.make = make_collector<TopProcesses>, .options = make_options<Options, kOptions>};
}

}  // namespace msp::collectors
