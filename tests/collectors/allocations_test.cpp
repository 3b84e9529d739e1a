// In the steady state a tick of the collectors allocates nothing: of a source's tick there is the
// one array of the scrape's values, which the queue takes over.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "agent/sources/host.h"
#include "tests/support/fake_clock.h"
#include "tests/support/file_host.h"

namespace {

thread_local std::size_t g_allocations = 0;

}  // namespace

// Not inlined: the compiler would take the pair of malloc and free for a mistake.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++g_allocations;
  if (void* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++g_allocations;
  return std::malloc(bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace msp::test {

TEST_CASE("a tick of a collector on a host that does not change allocates nothing but its values") {
  const FileHost host;
  host.write("sys/block/sdb/queue/rotational", "1\n");
  host.write("root/run/udev/data/b8:16", "E:ID_MODEL=disk\n");
  // Beside those with data, as on any host, some have none.
  const collectors::HostPaths nowhere{"/nonexistent", "/nonexistent", "/nonexistent"};
  FakeClock clock;
  // Files that have changed lately are read again: these have not.
  clock.step_wall(kNsPerSecond * 86'400 * 365 * 20);
  for (const auto& entry : collectors::collector_registry()) {
    // These two make the paths of each process's files, or copy what is known of all groups.
    if (entry.name == "processes" || entry.name == "process_groups") continue;
    for (const auto& paths : {host.paths(), nowhere}) {
      const auto wakeup = std::make_shared<const Wakeup>();
      sources::HostSource source(
          {.collectors = {std::string(entry.name)},
           .paths = paths,
           .host = {.uname = fake_uname, .statvfs = fake_statvfs, .adjtimex = fake_adjtimex},
           .clock = &clock,
           .wakeup = wakeup});
      std::uint64_t number = 0;
      const auto tick = [&] {
        return sources::scrape_now(source, {++number, 1}, *wakeup).values.size();
      };
      // The names of a folder are sorted: each place of the list has then had the longest of them.
      for (int warm = 0; warm < 20; ++warm) tick();
      const auto series = tick();
      const auto outcome = source.outcomes().front();
      if (!outcome.success && outcome.has_data) continue;  // a failure is told, in a text
      const auto before = g_allocations;
      constexpr std::size_t kTicks = 5;
      std::size_t same = 0;
      for (std::size_t i = 0; i < kTicks; ++i) same += tick() == series ? 1 : 0;
      const auto allocations = g_allocations - before;
      INFO(entry.name << " in " << paths.procfs);
      CHECK(same == kTicks);
      CHECK(allocations == kTicks);
    }
  }
}

}  // namespace msp::test
