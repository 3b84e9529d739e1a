#include "collectors/mount_stat.h"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "agent/base/clock.h"
#include "tests/support/fake_clock.h"
#include "tests/support/without_threads.h"

using namespace std::chrono_literals;

namespace msp {
namespace {

/// Mounts whose statvfs blocks until they are told to answer. MountStat takes a plain function,
/// hence one global.
struct Host {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string> hanging;
  std::map<std::string, int> errors;
  std::map<std::string, int> calls;
  std::set<std::thread::id> threads;
  int inside = 0;
  int inside_most = 0;

  void hang(const std::string& path) {
    const std::lock_guard lock(mutex);
    hanging.insert(path);
  }

  /// Lets the calls return and waits until they have.
  void answer_all() {
    std::unique_lock lock(mutex);
    hanging.clear();
    changed.notify_all();
    changed.wait(lock, [&] { return inside == 0; });
  }

  int calls_inside() {
    const std::lock_guard lock(mutex);
    return inside;
  }

  int calls_of(const std::string& path) {
    const std::lock_guard lock(mutex);
    return calls[path];
  }
};
Host* g_host;

int fake_statvfs(const char* path, struct statvfs* out) {
  auto& host = *g_host;
  std::unique_lock lock(host.mutex);
  ++host.calls[path];
  host.threads.insert(std::this_thread::get_id());
  host.inside_most = std::max(host.inside_most, ++host.inside);
  host.changed.wait(lock, [&] { return !host.hanging.contains(path); });
  --host.inside;
  host.changed.notify_all();
  if (const auto error = host.errors.find(path); error != host.errors.end()) {
    errno = error->second;
    return -1;
  }
  out->f_blocks = std::string_view(path).size();
  return 0;
}

struct Fixture {
  Fixture() { g_host = &host; }
  ~Fixture() { host.answer_all(); }

  Host host;
  test::FakeClock clock;
  int hung_so_far = 0;
  const std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();

  /// A tick, which ends when all have answered but `hung`, the mounts that hang and have not been
  /// asked before: for them the time goes on to the deadline. Until then it goes on only where a
  /// helper may be wanted, and reaches no deadline before the test's patience ends.
  Result<void> ask(collectors::MountStat& stat, std::size_t hung = 0) {
    hung_so_far += static_cast<int>(hung);
    if (auto begun = stat.begin(); !begun) return begun;
    while (stat.wait_ns() > 0) {
      if (stat.left() <= hung && host.calls_inside() == hung_so_far) {
        clock.advance(kTimeout / 1ns);
      } else {
        wakeup->wait(kNsPerMs);
        clock.advance(kGraceNs / 10);
      }
    }
    return stat.finish();
  }

  static std::vector<collectors::MountToAsk> mounts(std::initializer_list<const char*> paths) {
    std::vector<collectors::MountToAsk> mounts;
    for (const auto* path : paths) mounts.push_back({path, mounts.size(), "ext4"});
    return mounts;
  }

  /// Asks until `index` is answered: the worker that was stuck needs a moment to come back.
  void wait_until_it_recovers(collectors::MountStat& stat, std::size_t index) {
    do {
      REQUIRE(ask(stat).has_value());
      std::this_thread::yield();
    } while (stat.answer(index).timed_out);
  }

  static constexpr auto kGraceNs = collectors::MountStat::kGrace / 1ns;
  // 200,000 steps of ask().
  static constexpr std::chrono::milliseconds kTimeout{1000s};
};

// A busy machine that lets a worker wait for kGrace gets a helper now and then, but never one per
// tick.
constexpr std::size_t kFew = 8;

}  // namespace

TEST_CASE_METHOD(Fixture, "mounts that answer are asked by one thread, tick after tick",
                 "[threads]") {
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  stat.set_mounts(mounts({"/", "/srv", "/home"}));
  for (int tick = 1; tick <= 50; ++tick) {
    REQUIRE(ask(stat).has_value());
    CHECK(stat.answer(1).stat.f_blocks == 4);
    CHECK(stat.answer(2).stat.f_blocks == 5);
    CHECK(host.calls_of("/srv") == tick);
  }
  CHECK(host.threads.size() < kFew);
}

TEST_CASE_METHOD(Fixture, "no mounts: nothing is asked and no thread started", "[threads]") {
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  REQUIRE(ask(stat).has_value());
  CHECK(host.threads.empty());
}

TEST_CASE_METHOD(Fixture, "an error of statvfs is the mount's own", "[threads]") {
  host.errors["/srv"] = ESTALE;
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  stat.set_mounts(mounts({"/", "/srv", "/home"}));
  REQUIRE(ask(stat).has_value());
  CHECK(stat.answer(0).error == 0);
  CHECK(stat.answer(1).error == ESTALE);
  CHECK_FALSE(stat.answer(1).timed_out);
  CHECK(stat.answer(2).error == 0);
}

TEST_CASE_METHOD(Fixture, "a mount that hangs costs one deadline, once, and is asked once",
                 "[threads]") {
  host.hang("/nfs");
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  stat.set_mounts(mounts({"/", "/nfs", "/home"}));
  const auto begin_ns = clock.monotonic_ns();
  REQUIRE(ask(stat, 1).has_value());
  CHECK(clock.monotonic_ns() - begin_ns >= kTimeout / 1ns);
  CHECK(stat.answer(0).stat.f_blocks == 1);
  CHECK(stat.answer(1).timed_out);
  CHECK(stat.answer(2).stat.f_blocks == 5);

  for (int tick = 0; tick < 100; ++tick) {
    const auto second_ns = clock.monotonic_ns();
    REQUIRE(ask(stat).has_value());
    CHECK(clock.monotonic_ns() - second_ns < kTimeout / 1ns);
    CHECK(stat.answer(1).timed_out);
    CHECK(stat.answer(2).stat.f_blocks == 5);
  }
  CHECK(host.calls_of("/nfs") == 1);
  CHECK(host.calls_of("/home") == 101);
  CHECK(host.threads.size() < kFew);
}

TEST_CASE_METHOD(Fixture, "several that hang at once cost one deadline together", "[threads]") {
  for (const auto* path : {"/a", "/b", "/c", "/d"}) host.hang(path);
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  stat.set_mounts(mounts({"/a", "/b", "/", "/c", "/d", "/home"}));
  const auto begin_ns = clock.monotonic_ns();
  REQUIRE(ask(stat, 4).has_value());
  CHECK(clock.monotonic_ns() - begin_ns < 2 * (kTimeout / 1ns));
  for (const std::size_t hung : {0, 1, 3, 4}) CHECK(stat.answer(hung).timed_out);
  CHECK(stat.answer(2).stat.f_blocks == 1);
  CHECK(stat.answer(5).stat.f_blocks == 5);
}

TEST_CASE_METHOD(Fixture, "a mount that answers late is asked again, and the surplus worker ends",
                 "[threads]") {
  host.hang("/nfs");
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  stat.set_mounts(mounts({"/nfs", "/home"}));
  REQUIRE(ask(stat, 1).has_value());
  CHECK(stat.answer(0).timed_out);
  host.answer_all();
  wait_until_it_recovers(stat, 0);
  CHECK(stat.answer(0).stat.f_blocks == 4);

  host.threads.clear();
  for (int tick = 0; tick < 50; ++tick) REQUIRE(ask(stat).has_value());
  CHECK(host.threads.size() < kFew);
}

TEST_CASE_METHOD(Fixture, "a slow mount that answers in time is no error", "[threads]") {
  host.hang("/slow");
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  stat.set_mounts(mounts({"/slow", "/home"}));
  std::thread later([&] {
    std::unique_lock lock(host.mutex);
    host.changed.wait(lock, [&] { return host.calls["/home"] > 0; });  // handed over
    host.hanging.clear();
    host.changed.notify_all();
  });
  REQUIRE(ask(stat).has_value());
  later.join();
  CHECK_FALSE(stat.answer(0).timed_out);
  CHECK(stat.answer(0).stat.f_blocks == 5);
}

TEST_CASE_METHOD(Fixture, "a mounts list that changes does not forget what is stuck", "[threads]") {
  host.hang("/nfs");
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  stat.set_mounts(mounts({"/nfs", "/home"}));
  REQUIRE(ask(stat, 1).has_value());
  stat.set_mounts({{"/home", 1, "ext4"}});  // unmounted lazily
  REQUIRE(ask(stat).has_value());
  CHECK_FALSE(stat.answer(0).timed_out);
  stat.set_mounts(mounts({"/nfs", "/home", "/new"}));
  REQUIRE(ask(stat).has_value());
  CHECK(stat.answer(0).timed_out);
  CHECK(stat.answer(2).stat.f_blocks == 4);
  CHECK(host.calls_of("/nfs") == 1);
}

TEST_CASE_METHOD(Fixture, "what is mounted anew on a stuck mount's path is asked", "[threads]") {
  host.hang("/nfs");
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  stat.set_mounts({{"/nfs", 40, "nfs4"}});
  REQUIRE(ask(stat, 1).has_value());
  CHECK(stat.answer(0).timed_out);
  stat.set_mounts({{"/nfs", 41, "nfs4"}});
  REQUIRE(ask(stat, 1).has_value());
  CHECK(host.calls_of("/nfs") == 2);
}

TEST_CASE_METHOD(Fixture, "threads are bounded however many mounts of a dead server there are",
                 "[threads]") {
  std::vector<collectors::MountToAsk> all;
  for (int i = 0; i < 60; ++i) {
    all.push_back({"/nfs/" + std::to_string(i), static_cast<std::uint64_t>(i), "nfs4"});
    host.hang(all.back().path);
  }
  all.push_back({"/", 100, "ext4"});
  collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
  stat.set_mounts(all);
  REQUIRE(stat.begin().has_value());
  while (host.calls_inside() < static_cast<int>(collectors::MountStat::kStuckMax)) {
    CHECK(stat.wait_ns() > 0);
    wakeup->wait(kNsPerMs);
    clock.advance(kGraceNs / 10);
  }
  clock.advance(kTimeout / 1ns);
  REQUIRE(stat.finish().has_value());
  for (int tick = 0; tick < 20; ++tick) {
    REQUIRE(ask(stat).has_value());
    CHECK(stat.answer(59).timed_out);
    CHECK_FALSE(stat.answer(60).timed_out);  // of another type, though kStuckMax are stuck
  }
  {
    const std::lock_guard lock(host.mutex);
    CHECK(host.inside_most <= static_cast<int>(collectors::MountStat::kStuckMax) + 1);
  }
  host.answer_all();
  for (const std::size_t index : {0, 30, 59}) wait_until_it_recovers(stat, index);
}

TEST_CASE_METHOD(Fixture, "its end waits for no stuck mount, and the stuck call may return later",
                 "[threads]") {
  host.hang("/nfs");
  {
    collectors::MountStat stat(fake_statvfs, kTimeout, wakeup, clock);
    stat.set_mounts(mounts({"/nfs", "/home"}));
    REQUIRE(ask(stat, 1).has_value());
  }
  std::unique_lock lock(host.mutex);
  CHECK(host.inside == 1);
}

TEST_CASE("without threads: a tick is refused and the next one is not", "[.alone]") {
  const auto wakeup = std::make_shared<const Wakeup>();
  collectors::MountStat mounts([](const char*, struct statvfs*) { return 0; }, 5s, wakeup);
  mounts.set_mounts({{"/a", 1, "ext4"}});
  REQUIRE(test::forbid_threads());
  const auto refused = mounts.begin();
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().text, Catch::StartsWith("statvfs: cannot start a thread"));
  REQUIRE(test::allow_threads());
  REQUIRE(mounts.begin());
  while (const auto wait_ns = mounts.wait_ns()) wakeup->wait(wait_ns);
  CHECK(mounts.finish());
  CHECK_FALSE(mounts.answer(0).timed_out);
}

TEST_CASE("mounts: no thread to be had is an error of that tick; the next one tries again",
          "[threads]") {
  if (::geteuid() != 0) {
    WARN("only root can become a user without tasks: not looked at");
    return;
  }
  test::check_alone("without threads: a tick is refused and the next one is not");
}

}  // namespace msp
