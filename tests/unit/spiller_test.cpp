#include "agent/queue/spiller.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "tests/support/queue_fixture.h"

namespace msp {
namespace {

using namespace test;
using Fixture = QueueFixture;

}  // namespace

TEST_CASE_METHOD(Fixture, "max_size drops the oldest segments, counted") {
  with.limits.bytes_max = 4096;
  reopen({"a", "b"});
  Times all;
  for (int t = 1; t <= 400; ++t) {
    append({t});
    if (t % 10 == 0) round();
    if (t == 200) taken(1);
    all.push_back(t);
  }
  CHECK(queue->state().bytes <= 4096);
  for (const std::size_t endpoint : {0, 1}) {
    const auto kept = peeked(endpoint);
    REQUIRE(kept.size() > 10);
    CHECK(kept == Times(all.end() - static_cast<std::ptrdiff_t>(kept.size()), all.end()));
    CHECK(waiting(endpoint) == 2 * kept.size());
  }
  const auto lost = dropped(0, queue::DropReason::max_size);
  CHECK(lost + waiting(0) == 800);
  CHECK(dropped(1, queue::DropReason::max_size) < lost);
}

TEST_CASE_METHOD(Fixture, "a limit counts what an endpoint had not got, to the sample") {
  with.limits.bytes_max = 8 * 400;
  reopen({"a", "b", "c"});
  // Scrapes of different sizes, and an endpoint that gets every third at once.
  const auto one = series_set({"a"});
  std::size_t all = 0, fresh = 0;
  for (int t = 1; t <= 300; ++t) {
    queue->append(t % 2 == 0 ? scrape(t, kSet, {1, 2}) : scrape(t, one, {1}));
    all += t % 2 == 0 ? 2 : 1;
    if (t % 30 > 20) {
      live_taken(1);
      fresh += t % 2 == 0 ? 2 : 1;
    }
    if (t % 7 == 0) round();
    if (t % 60 == 10) {
      REQUIRE_FALSE(taken(2, 20).empty());
    }
  }
  for (const std::size_t endpoint : {0, 1, 2}) {
    INFO("endpoint " << endpoint);
    const auto waits = waiting(endpoint);
    queue::Batch batch;
    std::size_t handed = 0;
    while (queue->read(endpoint, {.lane = queue::Wanted::Lane::all, .samples_max = 10}, batch)) {
      handed += batch.samples();
      queue->ack(endpoint, batch);
    }
    CHECK(handed == waits);
    CHECK(handed > 0);
    const auto lost = dropped(endpoint, queue::DropReason::max_size);
    CHECK(lost > 0);
    if (endpoint == 0) CHECK(lost + waits == all);
    if (endpoint == 1) CHECK(lost + waits + fresh == all);
  }
}

TEST_CASE_METHOD(Fixture,
                 "what a limit takes while a request carries it is lost only if that fails") {
  with.limits.bytes_max = 4096;
  reopen({"a", "b"});
  append({1, 2, 3});
  round();
  queue::Batch arrives;
  queue::Batch fails;
  REQUIRE(queue->read(0, {.lane = queue::Wanted::Lane::all, .samples_max = 100}, arrives));
  REQUIRE(queue->read(1, {.lane = queue::Wanted::Lane::all, .samples_max = 100}, fails));
  for (int t = 4; dropped(0, queue::DropReason::max_size) == 0; ++t) {
    REQUIRE(t < 1000);
    append({t});
    if (t % 10 == 0) round();
  }
  const auto others = dropped(0, queue::DropReason::max_size);
  CHECK(dropped(1, queue::DropReason::max_size) == others);
  // What may arrive is not told as lost.
  CHECK(told_count(cat("buffer: ", others, " samples dropped")) == 1);
  queue->ack(0, arrives);
  queue->release(1, fails);
  CHECK(dropped(0, queue::DropReason::max_size) == others);
  CHECK(dropped(1, queue::DropReason::max_size) == others + 6);
}

TEST_CASE_METHOD(Fixture, "where the file system is nearly full the store gives way, then waits") {
  append({1});
  round();
  files.set_space({.total_bytes = 100 << 20, .free_bytes = 4 << 20});
  append({2});
  round();
  CHECK(queue->state().free_space_guard);
  CHECK(queue->state().segments == 0);
  CHECK(dropped(0, queue::DropReason::free_space) == 2);
  CHECK(peeked() == Times{2});
  files.set_space({.total_bytes = 100 << 20, .free_bytes = 6 << 20});
  round();
  CHECK_FALSE(queue->state().free_space_guard);
  CHECK(queue->state().segments == 1);
  CHECK(taken() == Times{2});
}

TEST_CASE_METHOD(Fixture,
                 "the free-space guard ends when there is space, even if nothing waits any more") {
  files.set_space({.total_bytes = 100 << 20, .free_bytes = 4 << 20});
  append({1});
  round();
  REQUIRE(queue->state().free_space_guard);
  taken();
  files.set_space({.total_bytes = 100 << 20, .free_bytes = 6 << 20});
  round();
  CHECK_FALSE(queue->state().free_space_guard);
}

TEST_CASE_METHOD(Fixture,
                 "a disk that fails is left alone until it works, also if nothing waits any more") {
  append({1});
  files.fail("/disk", "No space left on device");
  round();
  CHECK(queue->state().memory_only);
  CHECK(queue->state().segments == 0);
  append({2});
  SECTION("then what waits goes there") {
    files.fail("", "");
    round();
    CHECK(queue->state().segments == 1);
    CHECK(taken() == Times{1, 2});
  }
  SECTION("then it is known to work") {
    CHECK(taken() == Times{1, 2});
    round();
    CHECK(queue->state().memory_only);
    files.fail("", "");
    round();
  }
  CHECK_FALSE(queue->state().memory_only);
  CHECK(queue->state().damaged_records == 0);
  CHECK(files.names("/disk/buffer", ".bad").empty());
}

TEST_CASE_METHOD(Fixture,
                 "a failed sync is not believed the second time: it is all written again") {
  append({1, 2});
  round();
  append({3, 4});
  files.fail_syncs(1);
  round();
  CHECK(queue->state().memory_only);
  round();
  CHECK_FALSE(queue->state().memory_only);
  close();
  files.power_cut({.volatile_folder = "/run"});
  reopen();
  CHECK(peeked() == Times{1, 2, 3, 4});
}

TEST_CASE_METHOD(Fixture, "a scrape that no segment can hold does not hold up the others") {
  reopen({"a", "b"});
  std::vector<std::string> names;
  for (std::size_t i = 0; i <= queue::kSeriesMax; ++i) names.push_back(std::to_string(i));
  append({1});
  queue->append(scrape(2, series_set(names), std::vector<double>(names.size(), 1)));
  CHECK(live_taken(0) == Times{2});  // whoever takes it from memory gets it
  append({3});
  round();
  CHECK_FALSE(queue->state().memory_only);
  CHECK(dropped(0, queue::DropReason::too_large) == 0);
  CHECK(dropped(1, queue::DropReason::too_large) == names.size());
  CHECK(waiting(1) == 4);
  reopen({"a", "b"});
  CHECK(taken(0) == Times{1, 3});
  CHECK(taken(1) == Times{1, 3});
}

TEST_CASE_METHOD(Fixture, "max_age drops segments whose newest entry is older, counted") {
  with.limits.bytes_max = 8 * 400;
  with.limits.age_max = std::chrono::hours(24);
  reopen();
  const auto now_ms = [&] { return clock.wall_ns() / kNsPerMs; };
  for (int i = 0; i < 40; ++i) append({now_ms() + i});
  round();
  const auto all = peeked();
  REQUIRE(all.size() == 40);
  SECTION("of this process") {}
  SECTION("of an earlier one") {
    reopen();
  }
  for (int hour = 0; hour < 26; ++hour) {
    clock.advance(3600 * kNsPerSecond);
    append({now_ms()});
    round();
  }
  const auto kept = peeked();
  CHECK(kept.front() >= all.back());  // whose segment has newer ones
  CHECK(dropped(0, queue::DropReason::max_age) >= 78);
  CHECK(told_count("reason max_age") == 1);
}

TEST_CASE_METHOD(Fixture, "a clock that is wrong for a while is no age") {
  with.limits.age_max = std::chrono::hours(24 * 7);
  reopen();
  append({clock.wall_ns() / kNsPerMs});
  round();
  SECTION("in the process that collected") {}
  SECTION("after a restart") {
    reopen();
  }
  clock.step_wall(30 * 24 * 3600 * kNsPerSecond);
  append({clock.wall_ns() / kNsPerMs});
  round();
  clock.advance(600 * kNsPerSecond);
  append({clock.wall_ns() / kNsPerMs});
  round();
  clock.step_wall(-30 * 24 * 3600 * kNsPerSecond);
  append({clock.wall_ns() / kNsPerMs});
  round();
  CHECK(waiting(0) == 8);
  CHECK(dropped(0, queue::DropReason::max_age) == 0);
}

TEST_CASE_METHOD(Fixture, "the spiller's thread spills what waits, and ends with all of it on disk",
                 "[threads]") {
  with.clock = &real_clock();
  with.timing = {.spill_after_ns = kNsPerMs, .rest_ns = kNsPerMs, .retry_ns = kNsPerMs};
  reopen();
  StopSource stop(real_clock());
  std::thread disk([&] { spiller->run(stop.token()); });
  append({1});
  queue->expect_backlog(0);
  while (queue->state().segments == 0) std::this_thread::yield();
  append({2, 3});
  stop.request_stop(monotonic_ns());
  disk.join();
  close();
  files.power_cut({.volatile_folder = "/run"});
  with.clock = &clock;
  reopen();
  CHECK(peeked() == Times{1, 2, 3});
}

TEST_CASE(
    "a disk that cannot be read at the start is taken over with what it holds, oldest first") {
  QueueFixture f;
  f.append({1, 2, 3});
  f.round();
  f.close();
  f.files.fail_reads("/disk", "Input/output error");
  f.reopen();
  f.round();
  CHECK(f.queue->state().memory_only);
  f.append({4});
  CHECK(f.taken() == Times{4});
  f.append({5});
  f.files.fail_reads("", "");
  f.round();
  CHECK_FALSE(f.queue->state().memory_only);
  CHECK(f.waiting(0) == 8);
  CHECK(f.taken() == Times{1, 2, 3, 5});
  CHECK(f.waiting(0) == 0);
  CHECK(f.dropped(0, queue::DropReason::damage) == 0);
}

TEST_CASE_METHOD(Fixture, "a folder that is taken away is made again; what was in it is counted") {
  append({1, 2});
  round();
  files.remove_tree("/disk");
  append({3});
  round();
  CHECK(taken() == Times{1, 2, 3});  // its descriptors are open still
  append({4});
  round();
  reopen();
  CHECK(taken() == Times{4});
}

// H4, and REVIEW's late mount: a file system that is mounted over the folder, or comes back.
TEST_CASE_METHOD(Fixture,
                 "a disk that goes and comes back: all that waits arrives, in order, once") {
  files.mount("/disk/buffer", "sdb1");
  reopen();
  append({1, 2});
  round();
  files.unmount("/disk/buffer");
  append({3, 4});
  round();
  append({5});
  files.mount("/disk/buffer", "sdb1");
  round();
  append({6});
  round();
  SECTION("in this process") {}
  SECTION("after a restart") {
    reopen();
  }
  SECTION("after a power cut") {
    close();
    files.power_cut({.volatile_folder = "/run"});
    reopen();
  }
  CHECK(taken() == Times{1, 2, 3, 4, 5, 6});
  CHECK(waiting(0) == 0);
  CHECK(dropped(0, queue::DropReason::damage) == 0);
}

TEST_CASE_METHOD(Fixture,
                 "a disk that is mounted late, used before: its samples go first, no number "
                 "is used twice, and no other agent gets in") {
  files.mount("/disk/buffer", "sdb1");
  reopen();
  append({1, 2, 3});
  round();
  close();
  files.unmount("/disk/buffer");
  files.remove_tree("/run");
  SECTION("with a clock that goes on") {}
  SECTION("with a clock that is wrong until then") {
    clock.step_wall(-20 * 365 * 24 * 3600 * kNsPerSecond);
  }
  reopen();
  append({101, 102});
  round();
  append({103});
  files.mount("/disk/buffer", "sdb1");
  round();
  append({104});
  CHECK_FALSE(queue::Queue::open(with));
  Times all;
  for (auto some = taken(); !some.empty(); some = taken()) {
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end());
  CHECK(all == Times{1, 2, 3, 101, 102, 103, 104});
  CHECK(waiting(0) == 0);
  CHECK(dropped(0, queue::DropReason::damage) == 0);
}

// H1: an error that is not the content of the file.
TEST_CASE_METHOD(Fixture, "a segment that cannot be read for a while is tried again and not lost") {
  append({1, 2, 3});
  round();
  const auto segment = files.names("/disk/buffer", ".seg").at(0);
  const auto content = files.content("/disk/buffer/" + segment);
  SECTION("at run time") {
    files.fail_reads("/disk/buffer/" + segment, "Too many open files");
    append({4});
    CHECK(backlog_peeked().empty());
    CHECK(live_taken() == Times{4});
    CHECK(told_count("Too many open files") == 1);
    CHECK(backlog_peeked().empty());
    clock.advance(11 * kNsPerSecond);
    round();
    CHECK(told_count("Too many open files") == 1);
  }
  SECTION("at a start") {
    close();
    files.fail_reads("/disk/buffer/" + segment, "Input/output error");
    reopen();
    CHECK(told_count("Input/output error") == 1);
    append({4});
    round();
    append({5});
    round();
    CHECK(taken() == Times{4, 5});
    CHECK(files.names("/disk/buffer", ".seg").at(0) == segment);
  }
  SECTION("at two starts") {
    close();
    files.fail_reads("/disk/buffer/" + segment, "Permission denied");
    reopen();
    append({4});
    round();
    reopen();
    CHECK(taken() == Times{4});
  }
  CHECK(files.content("/disk/buffer/" + segment) == content);
  files.fail_reads("", "");
  clock.advance(11 * kNsPerSecond);
  round();
  CHECK(told_count("can be read again") == 1);
  CHECK(waiting(0) == 6);
  CHECK(taken() == Times{1, 2, 3});
  CHECK(dropped(0, queue::DropReason::damage) == 0);
}

TEST_CASE_METHOD(Fixture, "a read-only disk is locked, and written to once it can be") {
  close();
  files.set_content("/disk/buffer/x", "");
  files.fail("/disk", "Read-only file system");
  reopen();
  append({1});
  round();
  CHECK(queue->state().memory_only);
  CHECK_FALSE(queue::Queue::open(with));
  files.fail("", "");
  round();
  CHECK_FALSE(queue->state().memory_only);
  CHECK(queue->state().segments == 1);
  CHECK_FALSE(queue::Queue::open(with));
}

TEST_CASE_METHOD(Fixture, "one round without descriptors does not lose the lock") {
  append({1});
  round();
  files.fail_reads("/disk", "Too many open files");
  append({2});
  round();
  files.fail_reads("", "");
  round();
  CHECK_FALSE(queue::Queue::open(with));
  CHECK(taken() == Times{1, 2});
}

TEST_CASE_METHOD(Fixture, "damage is told and counted in samples") {
  append({1, 2, 3});
  round();
  const auto path = "/disk/buffer/" + files.names("/disk/buffer", ".seg").at(0);
  auto content = files.content(path);
  SECTION("of what can be read in part") {
    content[content.size() / 2] ^= 0x55;
    files.set_content(path, content);
    const auto got = taken().size();
    CHECK(got < 3);
    CHECK(dropped(0, queue::DropReason::damage) == 2 * (3 - got));
    CHECK(told_count("reason damage") == 1);
  }
  SECTION("of a segment that is gone at a start") {
    append({4});
    close();
    auto folder = files.open_folder("/disk/buffer");
    REQUIRE((*folder)->remove(path.substr(path.rfind('/') + 1)));
    folder = {};
    reopen();
    CHECK(dropped(0, queue::DropReason::damage) == 6);
    CHECK(told_count("are lost") == 1);
    CHECK(taken() == Times{4});
  }
  CHECK(waiting(0) == 0);
}

TEST_CASE_METHOD(Fixture, "a segment of a development build is set aside and said so") {
  close();
  std::string old = queue::make_segment_header(1) + "anything";
  old[8] = 1;
  files.set_content("/disk/buffer/0000000000000001.seg", old);
  reopen();
  CHECK(files.names("/disk/buffer", ".seg").empty());
  CHECK(queue->state().damaged_records == 1);
}

TEST_CASE("what an earlier run has left and cannot be synced is told, and sent") {
  QueueFixture fixture;
  fixture.append({1'000, 2'000});
  fixture.round();
  fixture.close();
  fixture.told.clear();
  fixture.files.fail_syncs(1);
  fixture.reopen();
  CHECK(fixture.told_count("when the power fails may be lost") == 1);
  CHECK(fixture.peeked() == Times{1'000, 2'000});
}

TEST_CASE("what a process that was killed had not synced survives a power cut in the next run") {
  for (std::uint64_t changes = 0; changes < 16; ++changes) {
    QueueFixture killed;
    killed.append({1'000, 2'000});
    killed.files.stop_after(changes);
    killed.round();
    killed.close();
    killed.files.go_on();
    killed.reopen();
    killed.round();
    killed.files.power_cut({.volatile_folder = "/run"});
    killed.reopen();
    INFO("killed after " << changes << " changes of files");
    CHECK(killed.peeked() == Times{1'000, 2'000});
  }
}

}  // namespace msp
