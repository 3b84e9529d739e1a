// processes: how many processes and threads there are and in which states, from /proc/PID/stat of
// each process and /proc/PID/task/TID/stat of each thread (proc(5)), and their limits:
//   811 (nginx: worker) S 810 810 810 0 -1 4194624 1203 0 4 0 88 41 0 0 20 0 3 0 ...
// What /proc/loadavg says of them is not this: the states are the point.
//
// A file per thread takes long on a large machine, a tenth of a second for some thousand: off by
// default, and read in a thread of its own. A process that ends meanwhile does not count.
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/detached_thread.h"
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/number_file.h"
#include "collectors/slow_reading.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kThreads{"node_processes_threads", "Allocated threads in system",
                              "/proc/PID/stat"};
constexpr MetricDesc kMaxThreads{"node_processes_max_threads", "Limit of threads in the system",
                                 "/proc/sys/kernel/threads-max"};
constexpr MetricDesc kThreadStates{
    "node_processes_threads_state", "Number of threads in each state.",
    "/proc/PID/stat, /proc/PID/task/TID/stat", MetricType::gauge, "thread_state"};
constexpr MetricDesc kStates{"node_processes_state", "Number of processes in each state.",
                             "/proc/PID/stat", MetricType::gauge, "state"};
constexpr MetricDesc kPids{"node_processes_pids", "Number of PIDs", "/proc/PID/stat"};
constexpr MetricDesc kMaxProcesses{"node_processes_max_processes", "Number of max PIDs limit",
                                   "/proc/sys/kernel/pid_max"};

constexpr std::size_t kThreadsColumn = 17;  // behind the name, where the state is the first

struct Stat {
  char state;
  std::string text;  // from the state on
};

using States = std::array<std::size_t, 128>;  // by the letter

/// A sum of which a part cannot be read is not known.
struct Counts {
  States processes{};
  States threads{};
  std::size_t pids = 0;
  std::uint64_t thread_sum = 0;
  std::string garbled_file = {};  // the first; empty: none
  std::string garbled_text = {};
  bool has_any = false;  // a folder of a process
  bool has_states = true;
  bool has_thread_sum = true;

  void garbled(const std::string& file, std::string_view text) {
    if (!garbled_file.empty()) return;
    garbled_file = file;
    garbled_text = text;
  }
};

/// The entries of a folder that are numbers; nothing where there is no such folder (any more).
std::optional<std::vector<std::string>> numbers_in(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), closedir);
  if (!open) return std::nullopt;
  std::vector<std::string> names;
  while (const dirent* entry = readdir(open.get())) {
    if (parse_number<unsigned>(entry->d_name)) names.emplace_back(entry->d_name);
  }
  return names;
}

/// Nothing where the process has ended, and where `counts` is told that its stat is none.
std::optional<Stat> read_stat(const std::string& path, Counts& counts) {
  const auto fd = open_to_read(path);
  char text[1024];
  const auto size = fd ? ::read(fd->get(), text, sizeof text) : -1;
  const bool is_gone = fd ? size < 0 && errno == ESRCH : fd.error().kind == Error::Kind::no_data;
  if (is_gone) return std::nullopt;
  const std::string_view line(text, size < 0 ? 0 : static_cast<std::size_t>(size));
  const auto name_end = line.rfind(") ");
  const auto rest = name_end == line.npos ? std::string_view{} : line.substr(name_end + 2);
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  if (rest.size() < 2 || !is_letter(rest[0]) || rest[1] != ' ') {
    counts.garbled(path, line);
    counts.has_states = counts.has_thread_sum = false;
    return std::nullopt;
  }
  return Stat{rest[0], std::string(rest)};
}

void count_process(const std::string& procfs, const std::string& pid, Counts& counts) {
  const auto folder = cat(procfs, "/", pid);
  const auto stat = read_stat(folder + "/stat", counts);
  if (!stat) return;
  ++counts.pids;
  ++counts.processes[static_cast<std::size_t>(stat->state)];
  const auto word = word_at(stat->text, kThreadsColumn);
  if (const auto threads = parse_number<std::uint64_t>(word)) {
    counts.thread_sum += *threads;
  } else {
    counts.garbled(folder + "/stat", word);
    counts.has_thread_sum = false;
  }
  const auto tids = numbers_in(folder + "/task");
  if (!tids) return;
  for (const auto& tid : *tids) {
    const auto thread = tid == pid ? stat : read_stat(cat(folder, "/task/", tid, "/stat"), counts);
    if (thread) ++counts.threads[static_cast<std::size_t>(thread->state)];
  }
}

void add_states(const MetricDesc& family, const States& states, SeriesWriter& out) {
  for (std::size_t state = 0; state < states.size(); ++state) {
    const char letter = static_cast<char>(state);
    if (states[state] > 0) {
      out.add(family, {std::string_view(&letter, 1)}, static_cast<double>(states[state]));
    }
  }
}

class Processes : public Collector {
 public:
  explicit Processes(const CollectorContext& context)
      : procfs_(context.paths.procfs),
        reading_(procfs_, context.wakeup),
        max_threads_(context.paths.proc("sys/kernel/threads-max")),
        max_processes_(context.paths.proc("sys/kernel/pid_max")) {}

  Result<bool> begin(const Tick&) override {
    const auto made = std::make_shared<Counts>();
    const auto read = [procfs = procfs_, made] {
      auto& counts = *made;
      const auto pids = numbers_in(procfs).value_or(std::vector<std::string>{});
      counts.has_any = !pids.empty();
      for (const auto& pid : pids) count_process(procfs, pid, counts);
    };
    if (const auto started = reading_.start(read, kSmallStackBytes); !started) {
      return started.error();
    }
    counts_ = made;
    return true;
  }

  std::int64_t wait_ns() override { return reading_.wait_ns(); }

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    if (const auto done = reading_.done(); !done) return done.error();
    const auto& counts = *counts_;
    if (!counts.has_any) return no_data(cat(procfs_, ": no process"));
    if (counts.has_thread_sum) out.add(kThreads, static_cast<double>(counts.thread_sum));
    add_number(max_threads_, kMaxThreads, out);
    if (counts.has_states) {
      add_states(kStates, counts.processes, out);
      add_states(kThreadStates, counts.threads, out);
      out.add(kPids, static_cast<double>(counts.pids));
    }
    add_number(max_processes_, kMaxProcesses, out);
    if (!counts.garbled_file.empty()) {
      out.complaints().garbled(counts.garbled_file, counts.garbled_text,
                               "the state of a process and its threads",
                               {"the number of processes and threads"});
    }
    return {};
  }

 private:
  const std::string procfs_;
  SlowReading reading_;
  std::shared_ptr<const Counts> counts_;  // the thread's, until it is done
  NumberFile max_threads_;
  NumberFile max_processes_;
};

}  // namespace

CollectorType processes_collector() {
  return {.make = make_collector<Processes>,
          .costly = "every thread of the host has a file that is read"};
}

}  // namespace msp::collectors
