#include "agent/base/stop_token.h"

#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/fake_clock.h"

namespace msp {

using test::FakeClock;

TEST_CASE("stop: a token tells its copies, and the earliest deadline counts") {
  FakeClock clock;
  StopSource stop(clock);
  const auto token = stop.token();
  const auto copy = token;
  CHECK_FALSE(token.stop_requested());
  CHECK(token.deadline_ns() == 0);
  CHECK_FALSE(token.time_is_up());

  const auto now_ns = clock.monotonic_ns();
  stop.request_stop(now_ns + 5 * kNsPerSecond);
  stop.request_stop(now_ns + 3 * kNsPerSecond);
  stop.request_stop(now_ns + 4 * kNsPerSecond);
  CHECK(copy.stop_requested());
  CHECK(copy.deadline_ns() == now_ns + 3 * kNsPerSecond);
  CHECK_FALSE(copy.time_is_up());
  clock.advance(3 * kNsPerSecond);
  CHECK(copy.time_is_up());
}

TEST_CASE("stop: a request with a deadline of 0 is a request") {
  StopSource stop;
  stop.request_stop(0);
  CHECK(stop.token().stop_requested());
  CHECK(stop.token().time_is_up());
}

TEST_CASE("stop: a wait ends at its time, or as soon as a stop is requested") {
  FakeClock clock;
  StopSource stop(clock);
  const auto begin_ns = clock.monotonic_ns();
  CHECK_FALSE(stop.token().wait_until(begin_ns + 3'600 * kNsPerSecond));
  CHECK(clock.monotonic_ns() == begin_ns + 3'600 * kNsPerSecond);

  const auto stop_ns = clock.monotonic_ns() + kNsPerSecond;
  clock.at(stop_ns, [&] { stop.request_stop(stop_ns); });
  CHECK(stop.token().wait_until(kNeverNs));
  CHECK(clock.monotonic_ns() == stop_ns);
  CHECK(stop.token().wait_until(kNeverNs));  // from then on at once
}

TEST_CASE("stop: a thread that waits is woken", "[threads]") {
  StopSource stop;
  std::thread waiting([token = stop.token()] { token.wait_until(kNeverNs); });
  stop.request_stop(kNeverNs);
  waiting.join();
  CHECK(StopToken().wait_until(monotonic_ns() + kNsPerMs) == false);  // nobody's
}

TEST_CASE("stop: a callback runs at each request, at once where there was one, and not after") {
  StopSource stop, child;
  int calls = 0;
  {
    const StopCallback count(stop.token(), [&] { ++calls; });
    const StopCallback passes_on(stop.token(),
                                 [&] { child.request_stop(stop.token().deadline_ns()); });
    CHECK(calls == 0);
    stop.request_stop(7);
    CHECK(calls == 1);
    CHECK(child.token().deadline_ns() == 7);
    const StopCallback late(stop.token(), [&] { calls += 10; });
    CHECK(calls == 11);
  }
  stop.request_stop(1);
  CHECK(calls == 11);
}

TEST_CASE("stop: a callback ends a wait on something else", "[threads]") {
  StopSource stop;
  std::mutex mutex;
  std::condition_variable changed;
  std::thread waiting([&, token = stop.token()] {
    const StopCallback wake(token, [&] {
      { const std::lock_guard lock(mutex); }
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    while (!token.stop_requested()) real_clock().wait(lock, changed, kNeverNs);
  });
  stop.request_stop(kNeverNs);
  waiting.join();
}

TEST_CASE("fake clock: one thread is a whole world, in the order of its times", "[threads]") {
  FakeClock clock;
  StopSource stop(clock);
  std::string seen;
  const auto begin_ns = clock.monotonic_ns();
  clock.at(begin_ns + 2, [&] { seen += 'b'; });
  clock.at(begin_ns + 1, [&] {
    seen += 'a';
    clock.at(begin_ns + 3, [&] { seen += 'c'; });
  });
  clock.at(begin_ns + 9, [&] { seen += 'z'; });
  CHECK_FALSE(stop.token().wait_until(begin_ns + 5));
  CHECK(seen == "abc");
  clock.advance(5);
  CHECK(seen == "abcz");
  CHECK_THROWS_AS(stop.token().wait_until(kNeverNs), std::logic_error);

  const auto wall_ns = clock.wall_ns();
  clock.suspend(kNsPerSecond);
  clock.step_wall(-2 * kNsPerSecond);
  CHECK(clock.wall_ns() == wall_ns - kNsPerSecond);
  CHECK(clock.boottime_ns() == clock.monotonic_ns() + kNsPerSecond);

  const auto until_ns = clock.monotonic_ns() + kNsPerSecond;
  std::thread other([&, token = stop.token()] { token.wait_until(until_ns); });
  clock.advance(kNsPerSecond);
  other.join();
}

}  // namespace msp
