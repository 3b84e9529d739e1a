// simulation: runs simulated agents, a seed each, and prints the seeds that break a promise.
//
//   simulation --seeds 10000           seeds 1 to 10000
//   simulation --from 5000 --seeds 10  seeds 5000 to 5009
//   simulation --seed 4711 --trace     one seed, with all that happens in it
//   simulation --jobs 2                processes beside each other
//   simulation --stop                  until the first seed that fails
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "agent/base/log.h"
#include "tests/simulation/world.h"

/// Sender gives memory back to the kernel when it is idle, which is here every few microseconds.
extern "C" int malloc_trim(std::size_t) {
  return 0;
}

namespace {

using namespace msp::simulation;

std::uint64_t current_seed = 0;

struct Totals {
  std::uint64_t seeds = 0;
  std::uint64_t failed = 0;
  std::uint64_t samples = 0;
  std::uint64_t excused = 0;
  std::uint64_t counted = 0;
  std::uint64_t deaths = 0;
  std::int64_t simulated_ns = 0;

  void add(const Totals& other) {
    seeds += other.seeds;
    failed += other.failed;
    samples += other.samples;
    excused += other.excused;
    counted += other.counted;
    deaths += other.deaths;
    simulated_ns += other.simulated_ns;
  }
};

void on_crash(int signal) {
  char text[96];
  const auto length = std::snprintf(text, sizeof text, "FAILED seed %llu: signal %d\n",
                                    static_cast<unsigned long long>(current_seed), signal);
  static_cast<void>(!::write(STDOUT_FILENO, text, static_cast<std::size_t>(length)));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run_seed(std::uint64_t seed, bool trace, Totals& totals) {
  current_seed = seed;
  const auto outcome = World(seed, trace).run();
  ++totals.seeds;
  totals.samples += outcome.samples;
  totals.excused += outcome.excused;
  totals.counted += outcome.counted;
  totals.deaths += outcome.deaths;
  totals.simulated_ns += outcome.simulated_ns;
  if (outcome.violations.empty()) return;
  ++totals.failed;
  std::printf("FAILED seed %llu: %s%s; replay: simulation --seed %llu --trace\n",
              static_cast<unsigned long long>(seed), outcome.violations.front().c_str(),
              outcome.violations.size() > 1 ? " (and more)" : "",
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
}

/// Every `jobs`-th seed.
Totals run_seeds(std::uint64_t first, std::uint64_t end, unsigned jobs, bool trace, bool stop) {
  Totals totals;
  for (auto seed = first; seed < end && !(stop && totals.failed > 0); seed += jobs) {
    run_seed(seed, trace, totals);
  }
  return totals;
}

/// False: a process ended before it had said what it found.
bool run_in_processes(std::uint64_t first, std::uint64_t end, unsigned jobs, bool stop,
                      Totals& totals) {
  struct Job {
    pid_t pid;
    int result;
  };
  std::vector<Job> running;
  for (unsigned i = 0; i < jobs; ++i) {
    int ends[2];
    if (::pipe(ends) != 0) return false;
    const auto pid = ::fork();
    if (pid < 0) return false;
    if (pid == 0) {
      const auto found = run_seeds(first + i, end, jobs, false, stop);
      const bool told = ::write(ends[1], &found, sizeof found) == sizeof found;
      std::fflush(stdout);
      ::_exit(told ? 0 : 1);
    }
    ::close(ends[1]);
    running.push_back({pid, ends[0]});
  }
  bool all = true;
  for (const auto& job : running) {
    Totals found;
    if (::read(job.result, &found, sizeof found) == sizeof found) {
      totals.add(found);
    } else {
      all = false;
    }
    ::close(job.result);
    ::waitpid(job.pid, nullptr, 0);
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1'000;
  unsigned jobs = 1;
  bool trace = false;
  bool stop = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto number = [&] {
      return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : std::uint64_t{0};
    };
    if (argument == "--seed") {
      first = number();
      seeds = 1;
    } else if (argument == "--from") {
      first = number();
    } else if (argument == "--seeds") {
      seeds = number();
    } else if (argument == "--jobs") {
      jobs = static_cast<unsigned>(number());
    } else if (argument == "--stop") {
      stop = true;
    } else if (argument == "--trace") {
      trace = true;
    } else {
      std::fprintf(
          stderr,
          "usage: simulation [--seeds N] [--from N] [--seed N] [--jobs N] [--stop] [--trace]\n");
      return 2;
    }
  }
  if (seeds == 0 || jobs == 0) {
    std::fprintf(stderr, "simulation: --seeds and --jobs take a number above 0\n");
    return 2;
  }
  // The log of ten thousand agents that fail on purpose.
  msp::init_log(trace ? msp::LogLevel::info : msp::LogLevel::error);
  if (!trace) {
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) ::dup2(null, STDERR_FILENO);
  }
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) {
    std::signal(signal, on_crash);
  }
  const auto began = std::chrono::steady_clock::now();
  Totals totals;
  bool all = true;
  if (jobs == 1 || seeds == 1) {
    totals = run_seeds(first, first + seeds, 1, trace, stop);
  } else {
    all = run_in_processes(first, first + seeds, jobs, stop, totals);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const auto years = static_cast<double>(totals.simulated_ns) / 1e9 / (365.25 * 86'400);
  std::printf(
      "simulation: %llu seeds, %llu failed; %.2f agent-years in %.1f s (%.2f a minute), "
      "%llu samples, %llu kills and power cuts, %llu samples lost as documented, "
      "%llu dropped or refused and counted\n",
      static_cast<unsigned long long>(totals.seeds), static_cast<unsigned long long>(totals.failed),
      years, took.count(), years / took.count() * 60,
      static_cast<unsigned long long>(totals.samples),
      static_cast<unsigned long long>(totals.deaths),
      static_cast<unsigned long long>(totals.excused),
      static_cast<unsigned long long>(totals.counted));
  return all && totals.failed == 0 && totals.seeds > 0 ? 0 : 1;
}
