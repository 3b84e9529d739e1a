// simulation: runs simulated agents, a seed each, and prints the seeds that break a promise.
//
//   simulation --seeds 10000           seeds 1 to 10000
//   simulation --from 5000 --seeds 10  seeds 5000 to 5009
//   simulation --seed 4711 --trace     one seed, with all that happens in it
//   simulation --jobs 2                processes beside each other
//   simulation --clocks --seeds 1000   other agents: their clocks jump by years, their process is stopped for hours
//   simulation --stop                  until the first seed that fails
//   simulation --fleet 10000 --series 100 --curve
//                                      so many agents whose centre was away for an hour, and what it is asked in each
//                                      second: live, backlog and refused requests
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/log.h"
#include "tests/simulation/fleet.h"
#include "tests/simulation/world.h"

/// Sender gives memory back to the kernel when it is idle, which is here every few microseconds.
extern "C" int malloc_trim(std::size_t) {
  return 0;
}

namespace {

using namespace msp::simulation;

std::uint64_t current_seed = 0;
World::Faults faults = World::Faults::all;

struct Totals {
  std::uint64_t seeds = 0;
  std::uint64_t failed = 0;
  std::uint64_t samples = 0;
  std::uint64_t excused = 0;
  std::uint64_t counted = 0;
  std::uint64_t deaths = 0;
  std::uint64_t jumps = 0;
  std::uint64_t pauses = 0;
  std::int64_t simulated_ns = 0;

  void add(const Totals& other) {
    seeds += other.seeds;
    failed += other.failed;
    samples += other.samples;
    excused += other.excused;
    counted += other.counted;
    deaths += other.deaths;
    jumps += other.jumps;
    pauses += other.pauses;
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
  const auto outcome = World(seed, trace, faults).run();
  ++totals.seeds;
  totals.samples += outcome.samples;
  totals.excused += outcome.excused;
  totals.counted += outcome.counted;
  totals.deaths += outcome.deaths;
  totals.jumps += outcome.jumps;
  totals.pauses += outcome.pauses;
  totals.simulated_ns += outcome.simulated_ns;
  if (outcome.violations.empty()) return;
  ++totals.failed;
  std::printf("FAILED seed %llu: %s%s; replay: simulation%s --seed %llu --trace\n",
              static_cast<unsigned long long>(seed), outcome.violations.front().c_str(),
              outcome.violations.size() > 1 ? " (and more)" : "",
              faults == World::Faults::clocks ? " --clocks" : "",
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

bool read_all(int fd, void* out, std::size_t bytes) {
  auto* to = static_cast<char*>(out);
  while (bytes > 0) {
    const auto got = ::read(fd, to, bytes);
    if (got <= 0) return false;
    to += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

/// Every `jobs`-th agent in a process of its own. False: one ended before it had said what it found.
bool run_fleet(const FleetPlan& plan, unsigned jobs, FleetOutcome& total) {
  total.seconds.resize(static_cast<std::size_t>(plan.outage_s + plan.after_s));
  const auto counts = [](FleetOutcome& outcome) {
    return std::array{&outcome.appended, &outcome.stored, &outcome.lost, &outcome.twice};
  };
  std::vector<std::pair<pid_t, int>> running;
  for (unsigned job = 0; job < jobs; ++job) {
    int ends[2];
    if (::pipe(ends) != 0) return false;
    const auto pid = ::fork();
    if (pid < 0) return false;
    if (pid == 0) {
      FleetOutcome own;
      own.seconds.resize(total.seconds.size());
      for (auto number = std::size_t{job}; number < plan.agents; number += jobs) {
        run_agent(plan, number, own);
      }
      std::FILE* const out = ::fdopen(ends[1], "wb");
      std::fwrite(own.seconds.data(), sizeof own.seconds[0], own.seconds.size(), out);
      for (const auto* const count : counts(own)) std::fwrite(count, sizeof *count, 1, out);
      std::fwrite(&own.fresh_ns_max, sizeof own.fresh_ns_max, 1, out);
      std::fwrite(&own.caught_up_ns_max, sizeof own.caught_up_ns_max, 1, out);
      ::_exit(std::fclose(out) == 0 ? 0 : 1);
    }
    ::close(ends[1]);
    running.emplace_back(pid, ends[0]);
  }
  bool all = true;
  for (const auto& [pid, result] : running) {
    FleetOutcome own;
    own.seconds.resize(total.seconds.size());
    all &= read_all(result, own.seconds.data(), own.seconds.size() * sizeof own.seconds[0]);
    const auto own_counts = counts(own);
    for (auto* const count : own_counts) all &= read_all(result, count, sizeof *count);
    all &= read_all(result, &own.fresh_ns_max, sizeof own.fresh_ns_max);
    all &= read_all(result, &own.caught_up_ns_max, sizeof own.caught_up_ns_max);
    const auto total_counts = counts(total);
    for (std::size_t i = 0; i < own_counts.size(); ++i) *total_counts[i] += *own_counts[i];
    for (std::size_t i = 0; i < total.seconds.size(); ++i) total.seconds[i].add(own.seconds[i]);
    total.fresh_ns_max = std::max(total.fresh_ns_max, own.fresh_ns_max);
    total.caught_up_ns_max = std::max(total.caught_up_ns_max, own.caught_up_ns_max);
    ::close(result);
    ::waitpid(pid, nullptr, 0);
  }
  return all;
}

/// The most requests in a second, in windows of `width` seconds, as a multiple of the steady rate.
double peak(const FleetPlan& plan, std::span<const FleetOutcome::Second> seconds,
            std::size_t width) {
  std::uint64_t most = 0;
  for (std::size_t begin = 0; begin + width <= seconds.size(); ++begin) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < width; ++i) sum += seconds[begin + i].all();
    most = std::max(most, sum);
  }
  const auto steady = static_cast<double>(plan.agents) / static_cast<double>(plan.interval_s);
  return static_cast<double>(most) / static_cast<double>(width) / steady;
}

/// The promises of docs/delivery.md; a line for each that is broken.
int tell_fleet(const FleetPlan& plan, const FleetOutcome& outcome, bool with_curve) {
  const std::span all(outcome.seconds);
  const auto outage = static_cast<std::size_t>(plan.outage_s);
  if (with_curve) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::printf("%lld %llu %llu %llu\n", static_cast<long long>(i) - plan.outage_s,
                  static_cast<unsigned long long>(all[i].live),
                  static_cast<unsigned long long>(all[i].backlog),
                  static_cast<unsigned long long>(all[i].refused));
    }
  }
  // Means of an interval: what agents do in a single second is chance, and more so with fewer of them.
  const auto interval = static_cast<std::size_t>(plan.interval_s);
  const auto after = peak(plan, all.subspan(outage), interval);
  const auto during = peak(plan, all.first(outage), interval);
  const auto seconds = [](std::int64_t ns) { return static_cast<double>(ns) / 1e9; };
  std::printf(
      "fleet: %zu agents with %zu series every %lld s, %lld s without a centre: at most %.2f times "
      "the steady rate during the outage, %.2f times after it (in 5 s: %.2f, in one second: %.2f), "
      "fresh samples of all after %.1f s, all caught up after %.0f s; %llu samples, %llu lost, "
      "%llu "
      "twice\n",
      plan.agents, plan.series, static_cast<long long>(plan.interval_s),
      static_cast<long long>(plan.outage_s), during, after, peak(plan, all.subspan(outage), 5),
      peak(plan, all.subspan(outage), 1), seconds(outcome.fresh_ns_max),
      seconds(outcome.caught_up_ns_max), static_cast<unsigned long long>(outcome.appended),
      static_cast<unsigned long long>(outcome.lost),
      static_cast<unsigned long long>(outcome.twice));
  int broken = 0;
  const auto promise = [&](bool kept, const char* what) {
    if (!kept) std::printf("FAILED fleet: %s\n", what);
    broken += kept ? 0 : 1;
  };
  // In the first interval each agent makes one early try.
  promise(during <= 2, "more than twice the steady rate during the outage");
  promise(after <= 2, "more than twice the steady rate after the outage");
  promise(outcome.fresh_ns_max <= plan.interval_s * 1'000'000'000,
          "an agent's fresh samples came later than an interval");
  promise(outcome.lost == 0 && outcome.twice == 0, "samples were lost or stored twice");
  promise(outcome.caught_up_ns_max < plan.after_s * 1'000'000'000, "an agent did not catch up");
  return broken == 0 ? 0 : 1;
}

int run_and_tell(const FleetPlan& plan, unsigned jobs, bool with_curve) {
  FleetOutcome outcome;
  if (run_fleet(plan, jobs, outcome)) return tell_fleet(plan, outcome, with_curve);
  std::printf("FAILED fleet: a process of the simulation ended\n");
  return 1;
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

/// False: there were too few to show anything.
bool tell_clocks(const Totals& totals) {
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf(
      "clocks: %llu of %llu, %llu lost; %llu jumps by a month to 40 years, %llu pauses of 1 to "
      "12 hours\n",
      number(totals.seeds - totals.failed), number(totals.seeds), number(totals.failed),
      number(totals.jumps), number(totals.pauses));
  return totals.jumps > totals.seeds / 2 && totals.pauses > totals.seeds / 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1'000;
  unsigned jobs = 1;
  bool trace = false;
  bool stop = false;
  bool curve = false;
  FleetPlan fleet{.agents = 0};
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
    } else if (argument == "--fleet") {
      fleet.agents = number();
    } else if (argument == "--series") {
      fleet.series = number();
    } else if (argument == "--clocks") {
      faults = World::Faults::clocks;
    } else if (argument == "--curve") {
      curve = true;
    } else if (argument == "--stop") {
      stop = true;
    } else if (argument == "--trace") {
      trace = true;
    } else {
      std::fprintf(stderr,
                   "usage: simulation [--clocks] [--seeds N] [--from N] [--seed N] [--jobs N] "
                   "[--stop] [--trace]\n"
                   "       simulation --fleet N [--series N] [--jobs N] [--curve]\n");
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
  if (fleet.agents > 0) return run_and_tell(fleet, jobs, curve);
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
  if (faults == World::Faults::clocks) all &= tell_clocks(totals);
  return all && totals.failed == 0 && totals.seeds > 0 ? 0 : 1;
}
