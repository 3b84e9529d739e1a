// The queue's promises at every step: whatever file-changing call is the last one that happens,
// what append() had taken and an endpoint had not acknowledged is handed out after the next start,
// in order, bit for bit, without a hole, though some was delivered out of turn. And the same with
// the power gone.
#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/queue/queue.h"
#include "agent/queue/spiller.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/random_scrapes.h"

namespace msp {
namespace {

using test::MemoryFileSystem;
using Unsynced = MemoryFileSystem::PowerCut::Unsynced;

constexpr std::size_t kEndpoints = 2;

/// What a scrape looks like on its way out: labels and bits.
using Look = std::vector<std::pair<std::string, std::uint64_t>>;

Look look(const metrics::Scrape& scrape) {
  Look look;
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    look.emplace_back(std::string((*scrape.series)[i]->labels.flat()),
                      std::bit_cast<std::uint64_t>(scrape.values[i]));
  }
  std::sort(look.begin(), look.end());
  return look;
}

/// A queue, what went in and what must come out.
class World {
 public:
  explicit World(std::uint64_t bytes_max) : random_(7, chances()) {
    options_.folder = "/disk/buffer";
    options_.wal_folder = "/run/agent";
    options_.limits.bytes_max = bytes_max;
    options_.files = &files;
    options_.clock = &clock_;
  }

  void open() {
    end();
    clock_.advance(kNsPerSecond);
    auto opened = queue::Queue::open(options_);
    INFO((opened ? "" : opened.error().text));
    REQUIRE(opened);
    queue_ = std::move(*opened);
    spiller_ = std::make_unique<queue::Spiller>(*queue_);
    for (const auto* name : {"a", "b"}) queue_->add_consumer(name);
    std::copy(std::begin(acked_), std::end(acked_), std::begin(done_));
  }
  void end() {
    spiller_.reset();
    queue_.reset();
  }

  void append(int count = 1) {
    for (; count > 0; --count) {
      auto scrape = random_.next();
      while (scrape.values.empty()) scrape = random_.next();  // one that could not be told apart
      scrape.timestamp_ms = static_cast<std::int64_t>(looks_.size() + 1);
      looks_.push_back(look(scrape));
      queue_->append(std::move(scrape));
      if (!files.stopped()) taken_ = looks_.size();
    }
  }

  void round() {
    spiller_->round(true);
    if (!files.stopped()) durable_ = looks_.size();
  }

  /// Hands out up to so many samples, checked to be what went in, and acknowledges them. The number
  /// of scrapes.
  std::size_t deliver(std::size_t endpoint, std::size_t samples_max) {
    queue::Batch batch;
    if (!queue_->read(endpoint, {.lane = queue::Wanted::Lane::all, .samples_max = samples_max},
                      batch)) {
      return 0;
    }
    const auto numbers = check_content(batch);
    for (const auto number : numbers) {
      auto& last = last_handed_[endpoint];
      REQUIRE(number > last);
      // What it had acknowledged may come again, or some of it.
      for (auto between = last + 1; between < number; ++between) {
        const bool is_left_out = !done_[endpoint].contains(between);
        if (is_left_out && !holes_allowed) FAIL(number << " is handed out before " << between);
      }
      last = number;
    }
    ack(endpoint, batch, numbers);
    return numbers.size();
  }

  /// The newest, out of turn.
  void deliver_newest(std::size_t endpoint) {
    queue::Batch batch;
    if (!queue_->read(endpoint, {.lane = queue::Wanted::Lane::live, .samples_max = 1000}, batch))
      return;
    const auto numbers = check_content(batch);
    REQUIRE(numbers == Numbers{looks_.size()});
    ack(endpoint, batch, numbers);
  }

  void drain(std::size_t endpoint) {
    while (deliver(endpoint, 60) > 0) continue;
  }

  /// Before the first peek after a start: an endpoint may be given again what it has.
  void forget_handed() { std::fill(std::begin(last_handed_), std::end(last_handed_), 0); }

  /// Everything that waits is handed out: the first `until` scrapes, but for what is acknowledged.
  void check_all_there(std::size_t until) {
    forget_handed();
    for (std::size_t endpoint = 0; endpoint < kEndpoints; ++endpoint) {
      drain(endpoint);
      for (std::size_t number = 1; number <= until; ++number) {
        if (!acked_[endpoint].contains(number)) {
          FAIL_CHECK("endpoint " << endpoint << " never gets " << number << " of " << until);
        }
      }
      CHECK(queue_->state(endpoint).samples == 0);
    }
  }

  /// It goes on as if nothing had been: after another start as well.
  void check_goes_on() {
    const auto before = looks_.size();
    for (auto& acked : acked_) {  // or gone for good
      for (std::size_t number = 1; number <= before; ++number) acked.insert(number);
    }
    append(3);
    for (auto& last : last_handed_) last = before;
    for (std::size_t endpoint = 0; endpoint < kEndpoints; ++endpoint) {
      deliver(endpoint, 1);
      CHECK(last_handed_[endpoint] == before + 1);
    }
    round();
    append(2);
    open();
    check_all_there(before + 5);
  }

  std::size_t taken() const { return taken_; }
  std::size_t durable() const { return durable_; }
  const queue::Queue& queue() const { return *queue_; }

  MemoryFileSystem files;
  bool holes_allowed = false;

 private:
  using Numbers = std::set<std::size_t>;

  Numbers check_content(queue::Batch& batch) {
    std::map<std::size_t, Look> handed;
    for (const auto& row : batch.rows()) {
      for (const auto& point : batch.points(row)) {
        handed[static_cast<std::size_t>(point.timestamp_ms)].emplace_back(
            row.series->labels.flat(), std::bit_cast<std::uint64_t>(point.value));
      }
    }
    Numbers numbers;
    for (auto& [number, got] : handed) {
      REQUIRE(number >= 1);
      REQUIRE(number <= looks_.size());
      std::sort(got.begin(), got.end());
      REQUIRE(got == looks_[number - 1]);
      numbers.insert(number);
    }
    return numbers;
  }

  void ack(std::size_t endpoint, queue::Batch& batch, const Numbers& numbers) {
    if (!files.stopped()) acked_[endpoint].insert(numbers.begin(), numbers.end());
    queue_->ack(endpoint, batch);
    done_[endpoint].insert(numbers.begin(), numbers.end());
  }

  static test::RandomScrapes::Chances chances() {
    return {.churn = 0.15, .odd_time = 0, .odd_value = 0.1, .series_max = 6};
  }

  test::RandomScrapes random_;
  test::FakeClock clock_;
  queue::Queue::Options options_;
  std::unique_ptr<queue::Queue> queue_;
  std::unique_ptr<queue::Spiller> spiller_;
  std::vector<Look> looks_;
  std::size_t taken_ = 0;      // appended before the world stopped
  std::size_t durable_ = 0;    // of these, those that a round has taken to disk
  Numbers acked_[kEndpoints];  // before the world stopped
  Numbers done_[kEndpoints];   // that, and what this process has acknowledged since
  std::size_t last_handed_[kEndpoints] = {};
};

/// Good days, an outage of one endpoint, one of both, a restart within, and the way out.
void work(World& world) {
  world.open();
  for (int tick = 0; tick < 3; ++tick) {
    world.append();
    world.drain(0);
    world.drain(1);
  }
  for (int tick = 0; tick < 6; ++tick) {
    world.append();
    world.drain(0);
    if (tick % 2 == 1) world.round();
  }
  for (int tick = 0; tick < 12; ++tick) {
    world.append(2);
    if (tick % 3 == 2) world.round();
  }
  // The link to one of them is back, and then it is not quite.
  for (int tick = 0; tick < 6; ++tick) {
    world.append();
    if (tick != 3) world.deliver_newest(1);
    world.deliver(1, 30);
    if (tick % 2 == 1) world.round();
  }
  world.round();
  if (world.files.stopped()) return;
  world.open();
  world.forget_handed();
  world.append(2);
  world.deliver_newest(0);
  world.deliver(0, 40);
  world.round();
  world.append();
  world.deliver_newest(0);
  world.deliver(1, 40);
  world.append();
  world.drain(1);
  world.drain(0);
  world.round();
  for (int tick = 0; tick < 3; ++tick) {
    world.append();
    world.drain(0);
    world.drain(1);
  }
  world.append();
}

constexpr std::uint64_t kEnough = 32 << 10;
constexpr std::uint64_t kTooLittle = 6 << 10;

std::uint64_t calls_of(std::uint64_t bytes_max, bool holes_allowed) {
  World world(bytes_max);
  world.holes_allowed = holes_allowed;
  work(world);
  return world.files.changes();
}

}  // namespace

TEST_CASE("crash at every step: what was appended and not acknowledged is there") {
  const auto calls = calls_of(kEnough, false);
  REQUIRE(calls > 100);
  for (const bool torn : {false, true}) {
    for (std::uint64_t last = 0; last <= calls; ++last) {
      INFO("the last call that happens is number " << last << " of " << calls
                                                   << (torn ? ", torn" : ""));
      World world(kEnough);
      world.files.stop_after(last, torn);
      work(world);
      world.end();
      world.files.go_on();
      world.open();
      world.check_all_there(world.taken());
      if (!torn) CHECK(world.queue().state().damaged_records == 0);
      world.check_goes_on();
    }
  }
}

TEST_CASE("crash at every step of a start after a crash") {
  for (const int stop : {60, 110, 140, 1'000'000}) {
    for (std::uint64_t last = 0; last < 40; ++last) {
      INFO("first stop after " << stop << ", second after " << last);
      World world(kEnough);
      world.files.stop_after(static_cast<std::uint64_t>(stop));
      work(world);
      const auto taken = world.taken();
      world.end();
      world.files.stop_after(last);
      world.open();
      world.round();
      world.end();
      world.files.go_on();
      world.open();
      world.check_all_there(taken);
      world.check_goes_on();
    }
  }
}

TEST_CASE("crash at every step with a limit that bites: order is kept, the queue goes on") {
  const auto calls = calls_of(kTooLittle, true);
  for (std::uint64_t last = 0; last <= calls; ++last) {
    INFO("the last call that happens is number " << last << " of " << calls);
    World world(kTooLittle);
    world.holes_allowed = true;
    world.files.stop_after(last);
    work(world);
    world.end();
    world.files.go_on();
    world.open();
    world.forget_handed();
    world.drain(0);
    world.drain(1);
    world.holes_allowed = false;
    world.check_goes_on();
  }
}

TEST_CASE("power cut at every step: what a round has taken to disk is there") {
  const auto calls = calls_of(kEnough, false);
  for (const auto content : {Unsynced::lost, Unsynced::half, Unsynced::zeros, Unsynced::kept}) {
    for (const bool names_kept : {false, true}) {
      for (std::uint64_t last = 0; last <= calls; ++last) {
        INFO("the last call that happens is number " << last << " of " << calls << ", content "
                                                     << static_cast<int>(content) << ", names "
                                                     << names_kept);
        World world(kEnough);
        world.files.stop_after(last);
        work(world);
        world.end();
        world.files.go_on();
        world.files.power_cut(
            {.volatile_folder = "/run", .content = content, .names_kept = names_kept});
        world.open();
        world.check_all_there(world.durable());
        world.check_goes_on();
      }
    }
  }
}

TEST_CASE("every call fails, and two more: nothing is lost") {
  const bool power_cut = GENERATE(false, true);
  const auto calls = calls_of(kEnough, false);
  for (std::uint64_t at = 0; at <= calls; ++at) {
    INFO("call number " << at << " of " << calls << " is the first of three that fail");
    World world(kEnough);
    world.files.fail_between(at, at + 3);
    work(world);
    world.files.fail_between(0, 0);
    world.round();
    world.end();
    if (power_cut) world.files.power_cut({.volatile_folder = "/run", .names_kept = true});
    world.open();
    world.check_all_there(world.durable());
    world.check_goes_on();
  }
}

}  // namespace msp
