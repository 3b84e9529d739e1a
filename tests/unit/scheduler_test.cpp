#include "agent/sources/scheduler.h"

#include <catch2/catch.hpp>

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "agent/base/text.h"
#include "agent/sources/background.h"
#include "agent/sources/target.h"
#include "tests/support/fake_clock.h"

namespace msp {
namespace {

using namespace std::chrono_literals;

sources::SourceOptions options(std::string name, std::chrono::nanoseconds interval = 15s) {
  sources::SourceOptions options;
  options.name = std::move(name);
  options.interval = interval;
  options.labels.defaults = {{"job", options.name}};
  return options;
}

Result<void> add(metrics::SeriesWriter& out, const std::string& name, double value) {
  return out.add_outside(name, value, [&]() -> Result<metrics::NewSeries> {
    return metrics::NewSeries{{{"__name__", name}}, nullptr};
  });
}

/// Answers at once: with the time at which it was read, in milliseconds.
class Quick : public sources::Target {
 public:
  Quick(sources::SourceOptions options, Clock& clock)
      : sources::Target(std::move(options), clock), clock_(clock) {}

  std::vector<std::string> names = {"read_at"};
  bool is_down = false;

 private:
  Result<void> collect(const metrics::Tick&, metrics::SeriesWriter& out) override {
    if (is_down) return failed("connection refused");
    for (const auto& name : names) {
      if (auto added = add(out, name, static_cast<double>(clock_.wall_ns() / kNsPerMs)); !added) {
        return added;
      }
    }
    return {};
  }

  Clock& clock_;
};

/// Of its 20 series one comes and one goes at each tick.
class Churning : public sources::Target {
 public:
  using sources::Target::Target;

 private:
  Result<void> collect(const metrics::Tick& tick, metrics::SeriesWriter& out) override {
    for (std::uint64_t i = 0; i < 20; ++i) {
      const auto process = cat("process_", tick.number + i);
      if (auto added = add(out, process, static_cast<double>(i)); !added) return added;
    }
    return {};
  }
};

/// Does not answer before it is let go.
struct Server {
  std::mutex mutex;
  std::condition_variable changed;
  bool hangs = true;
  int answers = 0;

  double answer() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !hangs; });
    return ++answers;
  }
  void set(bool is_hung) {
    const std::lock_guard lock(mutex);
    hangs = is_hung;
    changed.notify_all();
  }
};

class Hanging : public sources::Target {
 public:
  Hanging(sources::SourceOptions options, Clock& clock, std::shared_ptr<Server> server,
          std::shared_ptr<const Wakeup> wakeup)
      : sources::Target(std::move(options), clock),
        server_(std::move(server)),
        call_(std::move(wakeup), kSmallStackBytes) {}

  bool is_running() const { return call_.is_running(); }
  std::int64_t wait_ns() override { return call_.is_running() && started_ ? kNsPerSecond : 0; }

 private:
  void start(const metrics::Tick&) override {
    started_ = call_.start([server = server_] { return server->answer(); });
  }
  Result<void> collect(const metrics::Tick&, metrics::SeriesWriter& out) override {
    if (!started_) return started_;
    const auto answer = call_.take();
    if (!answer) return failed("no answer within its deadline");
    return add(out, "answer", *answer);
  }

  const std::shared_ptr<Server> server_;
  sources::Background<double> call_;
  Result<void> started_;
};

struct World {
  test::FakeClock clock;
  std::map<std::string, std::vector<metrics::Scrape>> scrapes;  // by stream
  std::map<std::string, std::uint64_t> missed;
  std::vector<std::int64_t> wakeups;  // boottime
  sources::Scheduler scheduler{
      {.clock = clock,
       .identity = "alpha/web-01",
       .on_scrape =
           [this](const sources::Source& source, metrics::Scrape scrape) {
             CHECK(scrape.stream->name == source.name());
             scrapes[source.name()].push_back(std::move(scrape));
           },
       .on_missed = [this](const sources::Source& source,
                           std::uint64_t ticks) { missed[source.name()] += ticks; }}};

  template <typename S, typename... More>
  S& add(sources::SourceOptions options, More... more) {
    auto source = std::make_unique<S>(std::move(options), clock, std::move(more)...);
    auto& added = *source;
    scheduler.add(std::move(source));
    return added;
  }

  void run_for(std::chrono::nanoseconds time) {
    const auto end_ns = clock.boottime_ns() + time.count();
    while (scheduler.due_ns() <= end_ns) {
      clock.advance(std::max<std::int64_t>(scheduler.due_ns() - clock.boottime_ns(), 0));
      wakeups.push_back(clock.boottime_ns());
      scheduler.run();
    }
    clock.advance(end_ns - clock.boottime_ns());
  }
};

/// The value of a series in a scrape; nothing where it is not there.
std::optional<double> value(const metrics::Scrape& scrape, std::string_view name) {
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    if ((*scrape.series)[i]->labels.get(metrics::kMetricName) == name) return scrape.values[i];
  }
  return std::nullopt;
}

std::size_t stale_markers(const metrics::Scrape& scrape) {
  return static_cast<std::size_t>(
      std::count_if(scrape.values.begin(), scrape.values.end(), metrics::is_stale_marker));
}

void check_stamps_are_unique(const std::vector<metrics::Scrape>& scrapes) {
  std::set<std::int64_t> seen;
  for (const auto& scrape : scrapes) {
    INFO(scrape.timestamp_ms);
    CHECK(seen.insert(scrape.timestamp_ms).second);
  }
}

}  // namespace

TEST_CASE("sources of one interval share their wake-ups", "[threads]") {
  World world;
  world.add<Quick>(options("a"));
  world.run_for(4s);
  world.add<Quick>(options("b"));  // its first tick is at once, the others with those of a
  world.run_for(10min);
  CHECK(world.wakeups.size() == 2 + 40);
  CHECK(world.scrapes["a"].size() == 41);
  CHECK(world.scrapes["b"].size() == 41);
  CHECK(world.scrapes["a"].back().timestamp_ms == world.scrapes["b"].back().timestamp_ms);
}

TEST_CASE("sources with intervals of their own tick at their own times, on grids that meet",
          "[threads]") {
  World world;
  world.add<Quick>(options("quarter", 15s));
  world.add<Quick>(options("minute", 60s));
  world.add<Quick>(options("odd", 7s));
  world.run_for(10min);
  CHECK(world.scrapes["quarter"].size() == 41);
  CHECK(world.scrapes["minute"].size() == 11);
  CHECK(world.scrapes["odd"].size() == 87);
  std::set<std::int64_t> quarters;
  for (const auto& scrape : world.scrapes["quarter"]) quarters.insert(scrape.timestamp_ms);
  for (const auto& scrape : world.scrapes["minute"]) CHECK(quarters.contains(scrape.timestamp_ms));
  for (const auto& [name, ticks] : world.missed) CHECK(ticks == 0);
}

TEST_CASE("a source that hangs delays no other and stamps nobody else's samples", "[threads]") {
  World world;
  const auto server = std::make_shared<Server>();
  const auto wakeup = std::make_shared<const Wakeup>();
  auto& hanging = world.add<Hanging>(options("hanging"), server, wakeup);
  world.add<Quick>(options("quick"));
  world.run_for(5min);

  const auto& quick = world.scrapes["quick"];
  REQUIRE(quick.size() == 21);
  for (std::size_t i = 2; i < quick.size(); ++i) {
    CHECK(quick[i].timestamp_ms - quick[i - 1].timestamp_ms == 15'000);
  }
  for (const auto& scrape : quick) {
    CHECK(value(scrape, "read_at") == static_cast<double>(scrape.timestamp_ms));
  }
  // Each of its ticks has the time at which it began, and says that the source is down.
  const auto& late = world.scrapes["hanging"];
  REQUIRE(late.size() == 21);
  for (std::size_t i = 0; i < late.size(); ++i) {
    CHECK(value(late[i], "up") == 0);
    CHECK(late[i].timestamp_ms == quick[i].timestamp_ms);
  }
  CHECK(value(late.front(), "scrape_duration_seconds") == 5);
  CHECK(hanging.health().error.find("has not returned yet") != std::string::npos);

  // What it answers at last is of a tick that is over; the next one is as it should be.
  server->set(false);
  while (hanging.is_running()) wakeup->wait(kNsPerSecond);
  const auto before = late.size();
  CHECK(server->answers == 1);
  world.clock.advance(world.scheduler.due_ns() - world.clock.boottime_ns());
  world.scheduler.run();
  while (late.size() == before) {
    wakeup->wait(kNsPerSecond);
    world.scheduler.run();
  }
  CHECK(value(late.back(), "up") == 1);
  CHECK(value(late.back(), "answer") == 2);
  CHECK(late.back().timestamp_ms == quick.back().timestamp_ms);
}

TEST_CASE("a source that churns ends each series once", "[threads]") {
  World world;
  world.add<Churning>(options("processes"));
  world.run_for(2min);
  const auto& scrapes = world.scrapes["processes"];
  REQUIRE(scrapes.size() == 9);
  for (std::size_t i = 1; i < scrapes.size(); ++i) {
    CHECK(stale_markers(scrapes[i]) == 1);
    CHECK(metrics::is_stale_marker(*value(scrapes[i], cat("process_", i))));
    CHECK(value(scrapes[i], cat("process_", i + 20)) == 19);
    CHECK(value(scrapes[i], "scrape_series_added") == 1);
  }
}

TEST_CASE("a target that fails has up 0 and ends all of its series, once", "[threads]") {
  World world;
  auto& target = world.add<Quick>(options("target"));
  target.names = {"a", "b", "c"};
  world.run_for(20s);
  auto& scrapes = world.scrapes["target"];
  CHECK(value(scrapes.back(), "up") == 1);
  CHECK(value(scrapes.back(), "scrape_samples_scraped") == 3);

  target.is_down = true;
  world.run_for(15s);
  CHECK(value(scrapes.back(), "up") == 0);
  CHECK(stale_markers(scrapes.back()) == 3);
  CHECK(value(scrapes.back(), "scrape_samples_scraped") == 0);
  CHECK(target.health().error == "connection refused");
  world.run_for(15s);
  CHECK(value(scrapes.back(), "up") == 0);
  CHECK(stale_markers(scrapes.back()) == 0);

  target.is_down = false;
  world.run_for(15s);
  CHECK(value(scrapes.back(), "up") == 1);
  CHECK(value(scrapes.back(), "b").has_value());
}

TEST_CASE("a target over its limit on series is refused as a whole, until it is not", "[threads]") {
  World world;
  auto limited = options("target");
  limited.series_max = 10;
  auto& target = world.add<Quick>(std::move(limited));
  world.run_for(20s);
  for (int i = 0; i < 10; ++i) target.names.push_back(cat("more_", i));
  world.run_for(15s);
  auto& scrapes = world.scrapes["target"];
  CHECK(value(scrapes.back(), "up") == 0);
  CHECK(metrics::is_stale_marker(*value(scrapes.back(), "read_at")));
  CHECK_FALSE(value(scrapes.back(), "more_0").has_value());
  CHECK(target.health().error == "over the limit of 10 series (series_max)");

  target.names.resize(10);
  world.run_for(45s);
  CHECK(value(scrapes.back(), "up") == 1);
  CHECK(value(scrapes.back(), "more_8").has_value());
}

TEST_CASE("a target for which memory has no room is refused, and takes none from the host",
          "[threads]") {
  World world;
  const auto room = std::make_shared<metrics::SeriesRoom>(metrics::SeriesRoom{.max = 12});
  const auto with_room = [&](const char* name, bool keeps_to_room) {
    auto made = options(name);
    made.room = room;
    made.keeps_to_room = keeps_to_room;
    return made;
  };
  auto& host = world.add<Quick>(with_room("host", false));
  auto& target = world.add<Quick>(with_room("target", true));
  const auto grow = [](Quick& source, std::size_t count) {
    source.names.clear();
    for (std::size_t i = 0; i < count; ++i) source.names.push_back(cat("series_", i));
  };
  grow(host, 5);
  grow(target, 7);
  world.run_for(20s);
  CHECK(room->used == 12);
  CHECK(target.health().is_up);

  grow(host, 8);
  world.run_for(15s);
  CHECK(host.health().is_up);
  CHECK(target.health().error ==
        "the agent's memory has room for 12 series of all sources, and the others have 8: "
        "leave metrics out, or raise MemoryMax=");
  CHECK(room->used == 8);
  grow(target, 4);
  world.run_for(15min);
  CHECK(target.health().is_up);
  world.scheduler.remove("target");
  CHECK(room->used == 8);
}

TEST_CASE("what is ready together is delivered together, and that of the first source last",
          "[threads]") {
  test::FakeClock clock;
  std::vector<std::string> order;
  sources::Scheduler scheduler(
      {.clock = clock,
       .identity = "alpha/web-01",
       .on_scrape = [&](const sources::Source& source, const metrics::Scrape&) {
         order.push_back(source.name());
       }});
  for (const auto* const name : {"host", "host_costly"}) {
    scheduler.add(std::make_unique<Quick>(options(name), clock));
  }
  scheduler.run();
  CHECK(order == std::vector<std::string>{"host_costly", "host"});
}

TEST_CASE("a clock that steps back never gives a stream one timestamp twice", "[threads]") {
  const auto interval = GENERATE(1s, 15s);
  World world;
  world.add<Quick>(options("a", interval));
  world.run_for(30 * interval);
  SECTION("a leap second, or a whole interval, again and again") {
    for (int i = 0; i < 12; ++i) {
      world.clock.step_wall(-interval / 1ns);
      world.run_for(5 * interval);
    }
  }
  SECTION("to a time that was passed long ago, twice") {
    world.run_for(55min);
    for (const auto back : {30min, 20min}) {
      world.clock.step_wall(-back / 1ns);
      world.run_for(25min);
    }
  }
  SECTION("to and fro") {
    for (int i = 0; i < 10; ++i) {
      world.clock.step_wall((i % 2 == 0 ? -3 : 3) * interval / 1ns);
      world.run_for(interval);
    }
  }
  const auto& scrapes = world.scrapes["a"];
  CHECK(world.missed["a"] == 0);
  check_stamps_are_unique(scrapes);
  CHECK(world.scheduler.moved() > 0);
  for (const auto& scrape : scrapes) {
    const auto moved_ms = static_cast<double>(scrape.timestamp_ms) - *value(scrape, "read_at");
    CHECK(moved_ms >= 0);
    CHECK(moved_ms <= 12);
  }
}

TEST_CASE("ticks that a sleeping host missed are counted and not made up for", "[threads]") {
  World world;
  world.add<Quick>(options("a", 15s));
  world.add<Quick>(options("b", 60s));
  world.run_for(30s);
  const auto before = world.scrapes["a"].size();
  world.clock.suspend(600 * kNsPerSecond);
  world.scheduler.run();
  CHECK(world.missed["a"] == 39);
  CHECK(world.missed["b"] == 9);
  CHECK(world.scrapes["a"].size() == before + 1);
}

TEST_CASE("a tick that is nearly an interval late takes the place of the next, which is counted",
          "[threads]") {
  World world;
  world.add<Quick>(options("a", 15s));
  world.run_for(60s);
  CHECK(world.missed["a"] == 0);
  const auto before = world.scrapes["a"].size();
  const auto due_ns = world.scheduler.due_ns();
  world.clock.advance(due_ns + 15 * kNsPerSecond - 50 * kNsPerMs - world.clock.boottime_ns());
  world.scheduler.run();
  CHECK(world.missed["a"] == 0);
  world.run_for(31s);
  // Of four points of the grid, one has nothing of its own.
  CHECK(world.missed["a"] == 1);
  CHECK(world.scrapes["a"].size() == before + 3);
}

TEST_CASE("a source that takes another one's place ends what it does not report", "[threads]") {
  World world;
  world.add<Quick>(options("a")).names = {"x", "y"};
  world.run_for(20s);
  world.add<Quick>(options("a")).names = {"y", "z"};
  world.run_for(15s);
  const auto& scrapes = world.scrapes["a"];
  CHECK(stale_markers(scrapes.back()) == 1);
  CHECK(metrics::is_stale_marker(*value(scrapes.back(), "x")));
  CHECK(scrapes.back().timestamp_ms - scrapes[scrapes.size() - 2].timestamp_ms == 15'000);
  world.run_for(15s);
  CHECK(stale_markers(scrapes.back()) == 0);
}

TEST_CASE("a source that is removed ends all of its series", "[threads]") {
  World world;
  world.add<Quick>(options("a"));
  world.add<Quick>(options("b"));
  world.run_for(20s);
  const auto before = world.scrapes["a"].size();
  world.scheduler.remove("a");
  world.run_for(60s);
  REQUIRE(world.scrapes["a"].size() == before + 1);
  const auto& last = world.scrapes["a"].back();
  CHECK(stale_markers(last) == last.values.size());
  CHECK(last.values.size() == 6);
  check_stamps_are_unique(world.scrapes["a"]);
  CHECK(world.scrapes["b"].size() > before + 1);
}

TEST_CASE("sources that are spread have moments of their own, the same after a restart",
          "[threads]") {
  std::set<std::int64_t> moments;
  for (int run = 0; run < 2; ++run) {
    World world;
    for (int i = 0; i < 8; ++i) {
      auto spread = options(cat("target ", i));
      spread.is_spread = true;
      world.add<Quick>(std::move(spread));
    }
    world.run_for(60s);
    for (int i = 0; i < 8; ++i) {
      const auto& scrapes = world.scrapes[cat("target ", i)];
      REQUIRE(scrapes.size() >= 4);
      moments.insert(scrapes.back().timestamp_ms % 15'000);
      CHECK(scrapes[3].timestamp_ms - scrapes[2].timestamp_ms == 15'000);
    }
    CHECK(moments.size() >= 7);
    CHECK(moments.size() <= 8);
  }
}

TEST_CASE("a stop finishes what has begun, and ends no series", "[threads]") {
  World world;
  const auto server = std::make_shared<Server>();
  world.add<Hanging>(options("hanging"), server, std::make_shared<const Wakeup>());
  world.add<Quick>(options("quick"));
  world.run_for(1s);
  CHECK(world.scrapes["hanging"].empty());
  world.scheduler.stop();
  CHECK(world.scrapes["hanging"].empty());  // it is not known to be down
  CHECK(stale_markers(world.scrapes["quick"].back()) == 0);
  CHECK(world.scrapes["quick"].size() == 1);
  server->set(false);
}

}  // namespace msp
