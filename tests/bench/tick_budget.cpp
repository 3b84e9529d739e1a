// The work of a good day's tick on a host that never changes, over and over: collect, encode for the log, group, encode
// and compress the request. Its instructions are counted by valgrind, its allocations here; tests/integration/
// budget_test.py holds both to tests/budget.json.
//
//   tick_budget TICKS     prints the allocations of a tick
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "agent/delivery/encode/encode.h"
#include "agent/queue/batch.h"
#include "agent/queue/scrape_codec.h"
#include "agent/sources/host.h"
#include "tests/support/fake_clock.h"
#include "tests/support/file_host.h"

namespace {

std::size_t g_allocations = 0;

}  // namespace

// Not inlined: the compiler would take the pair of malloc and free for a mistake.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++g_allocations;
  if (void* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace msp::test {
namespace {

// Without those that have threads, whose turns are not the same in every run.
std::vector<std::string> collectors() {
  constexpr std::string_view kThreaded[] = {"filesystem", "process_groups", "processes", "systemd",
                                            "top_processes"};
  std::vector<std::string> names;
  for (const auto& entry : collectors::collector_registry()) {
    if (std::ranges::find(kThreaded, entry.name) == std::end(kThreaded)) {
      names.emplace_back(entry.name);
    }
  }
  return names;
}

void run(int ticks) {
  const FileHost host;
  FakeClock clock;
  clock.step_wall(kNsPerSecond * 86'400 * 365 * 20);  // no file has changed lately
  const auto wakeup = std::make_shared<const Wakeup>();
  sources::HostSource source(
      {.collectors = collectors(),
       .paths = host.paths(),
       .host = {.uname = fake_uname, .statvfs = fake_statvfs, .adjtimex = fake_adjtimex},
       .clock = &clock,
       .wakeup = wakeup});
  queue::ScrapeEncoder log;
  delivery::Encoder encoder;
  std::string records;
  std::size_t bytes = 0, samples = 0;
  std::size_t before = 0;
  constexpr int kWarm = 20;
  for (int tick = 0; tick < kWarm + ticks; ++tick) {
    if (tick == kWarm) before = g_allocations;
    clock.advance(15 * kNsPerSecond);
    const auto scrape = std::make_shared<const metrics::Scrape>(sources::scrape_now(
        source, {static_cast<std::uint64_t>(tick) + 1, clock.wall_ns()}, *wakeup));
    records.clear();
    if (!log.encode(static_cast<std::uint64_t>(tick) + 1, *scrape, records)) std::abort();
    queue::Batch batch;
    batch.add(0, scrape);
    const auto rows = batch.rows().size();
    const auto part = encoder.encode(batch, 0, rows, delivery::Wire::victoriametrics,
                                     delivery::Encoder::kRawBytesMax);
    if (part.rows_end != rows) std::abort();
    bytes += part.body.size() + records.size();
    samples = scrape->values.size();
  }
  std::printf("%.2f allocations, %zu samples, %zu bytes\n",
              static_cast<double>(g_allocations - before) / ticks, samples, bytes);
}

}  // namespace
}  // namespace msp::test

int main(int argc, char** argv) {
  const int ticks = argc == 2 ? std::atoi(argv[1]) : 0;
  if (ticks <= 0) {
    std::fprintf(stderr, "usage: tick_budget TICKS\n");
    return 2;
  }
  msp::test::run(ticks);
}
