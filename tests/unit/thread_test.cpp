#include "agent/base/thread.h"

#include <catch2/catch.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

#include "agent/base/clock.h"
#include "tests/support/without_threads.h"

namespace msp {
namespace {

constexpr std::int64_t kLong = 60 * kNsPerSecond;

/// Opens once.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
};

}  // namespace

TEST_CASE("thread: it does its work, and is waited for", "[threads]") {
  int done = 0;
  auto thread = Thread::start(
      "test", [&] { done = 1; }, [](const std::string&) {});
  REQUIRE(thread);
  CHECK(thread->join_until(monotonic_ns() + kLong));
  CHECK(done == 1);
  CHECK(thread->has_ended());
  CHECK(thread->join_until(monotonic_ns() + kLong));
  CHECK(Thread().join_until(0));
  CHECK(Thread().has_ended());
}

TEST_CASE("thread: one that hangs is waited for until the deadline, and can be let go of",
          "[threads]") {
  const auto gate = std::make_shared<Gate>();
  const auto ended = std::make_shared<Gate>();
  {
    auto thread = Thread::start(
        "test", [gate, ended] { gate->wait(), ended->open(); }, [](const std::string&) {});
    REQUIRE(thread);
    CHECK_FALSE(thread->join_until(monotonic_ns() + 20 * kNsPerMs));
    CHECK_FALSE(thread->has_ended());
    SECTION("it ends later") {
      gate->open();
      CHECK(thread->join_until(monotonic_ns() + kLong));
      CHECK(thread->has_ended());
    }
    SECTION("it is let go of") {}
  }
  gate->open();
  ended->wait();
}

TEST_CASE("thread: an exception is told, whatever it is, and ends it", "[threads]") {
  std::string told;
  const auto run = [&](std::function<void()> work) {
    auto thread =
        Thread::start("test", std::move(work), [&](const std::string& reason) { told = reason; });
    REQUIRE(thread);
    REQUIRE(thread->join_until(monotonic_ns() + kLong));
    return told;
  };
  CHECK(run([] { throw std::runtime_error("the reason"); }) == "the reason");
  CHECK(run([] { throw std::bad_alloc(); }) ==
        "out of memory; raise the limit on it (MemoryMax= of the unit, ulimit -v)");
  CHECK(run([] { throw 1; }) == "an exception that is none of the standard library's");
}

TEST_CASE("thread: one that owns its own Thread ends by itself once it is let go of", "[threads]") {
  struct Owner {
    Thread thread;
    std::shared_ptr<Gate> gone;
    ~Owner() { gone->open(); }
  };
  const auto gate = std::make_shared<Gate>();
  const auto gone = std::make_shared<Gate>();
  auto owner = std::make_shared<Owner>();
  owner->gone = gone;
  auto thread = Thread::start(
      "test", [gate, owner] { gate->wait(); }, [](const std::string&) {});
  REQUIRE(thread);
  owner->thread = std::move(*thread);
  owner.reset();
  gate->open();
  gone->wait();
}

TEST_CASE("without threads: one more is an error", "[.alone]") {
  REQUIRE(test::forbid_threads());
  const auto thread = Thread::start(
      "endpoint", [] {}, [](const std::string&) {});
  REQUIRE_FALSE(thread);
  CHECK_THAT(thread.error().text, Catch::Contains("cannot start a thread for endpoint: ") &&
                                      Catch::Contains("TasksMax="));
}

TEST_CASE("thread: where no more can be started it is an error that says what to look at") {
  test::check_alone("without threads: one more is an error");
}

}  // namespace msp
