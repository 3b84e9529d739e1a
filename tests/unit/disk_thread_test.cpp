// The disk's side of the buffer: agent/buffer/disk_thread.cpp.
#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

#include "agent/base/clock.h"
#include "tests/support/buffer_fixture.h"

namespace msp {
namespace {

using namespace test;
using Fixture = BufferFixture;

}  // namespace

TEST_CASE_METHOD(Fixture, "max_size drops the oldest segments, counted") {
  auto small = options(files, {"a", "b"});
  small.limits.bytes_max = 4096;
  reopen(small);
  Times all;
  for (int t = 1; t <= 400; ++t) {
    append({t});
    if (t % 10 == 0) buffer->disk_round(kNow);
    if (t == 200) taken(*buffer, 1);
    all.push_back(t);
  }
  CHECK(buffer->state().bytes <= 4096);
  for (const std::size_t endpoint : {0, 1}) {
    const auto kept = peeked(*buffer, endpoint);
    REQUIRE(kept.size() > 10);
    CHECK(kept == Times(all.end() - static_cast<std::ptrdiff_t>(kept.size()), all.end()));
    CHECK(buffer->state(endpoint).samples == 2 * kept.size());
  }
  const auto lost = dropped(*buffer, 0, DropReason::max_size);
  CHECK(lost + buffer->state(0).samples == 800);
  CHECK(dropped(*buffer, 1, DropReason::max_size) < lost);
}

TEST_CASE_METHOD(Fixture, "a limit counts what an endpoint had not got, to the sample") {
  auto small = options(files, {"a", "b", "c"});
  small.limits.bytes_max = 8 * 400;
  reopen(small);
  // Scrapes of different sizes, and an endpoint that gets every third at once.
  const auto one = series_set({"a"});
  std::size_t all = 0, fresh = 0;
  for (int t = 1; t <= 300; ++t) {
    buffer->append(t % 2 == 0 ? scrape(t, kSet, {1, 2}) : scrape(t, one, {1}));
    all += t % 2 == 0 ? 2 : 1;
    if (t % 30 > 20) {
      newest_taken(*buffer, 1);
      fresh += t % 2 == 0 ? 2 : 1;
    }
    if (t % 7 == 0) buffer->disk_round(kNow);
    if (t % 60 == 10) {
      Batch batch;
      REQUIRE(buffer->peek(2, 20, batch));
      buffer->ack(2, batch);
    }
  }
  for (const std::size_t endpoint : {0, 1, 2}) {
    INFO("endpoint " << endpoint);
    const auto waiting = buffer->state(endpoint).samples;
    Batch batch;
    std::size_t handed = 0;
    while (buffer->peek(endpoint, 10, batch)) {
      handed += batch.samples();
      buffer->ack(endpoint, batch);
    }
    CHECK(handed == waiting);
    CHECK(handed > 0);
    const auto lost = dropped(*buffer, endpoint, DropReason::max_size);
    CHECK(lost > 0);
    if (endpoint == 0) CHECK(lost + waiting == all);
    if (endpoint == 1) CHECK(lost + waiting + fresh == all);
  }
}

TEST_CASE_METHOD(Fixture, "max_age drops segments whose newest scrape is older, counted") {
  auto aged = options(files);
  aged.limits.bytes_max = 8 * 400;
  aged.limits.age_max = std::chrono::milliseconds(100);
  reopen(aged);
  for (int t = 1; t <= 40; ++t) append({t});
  buffer->disk_round(kNow);
  REQUIRE(peeked(*buffer).front() == 1);
  append({1000});
  buffer->disk_round(kNow);
  const auto kept = peeked(*buffer);
  CHECK(kept.front() > 1);
  CHECK(kept.back() == 1000);
  CHECK(dropped(*buffer, 0, DropReason::max_age) == 2 * (41 - kept.size()));
}

TEST_CASE_METHOD(Fixture, "where the file system is nearly full the store gives way, then waits") {
  append({1});
  buffer->disk_round(kNow);
  files.set_space({.total_bytes = 100 << 20, .free_bytes = 4 << 20});
  append({2});
  buffer->disk_round(kNow);
  CHECK(buffer->state().free_space_guard);
  CHECK(buffer->state().segments == 0);
  CHECK(dropped(*buffer, 0, DropReason::free_space) == 2);
  CHECK(peeked(*buffer) == Times{2});
  files.set_space({.total_bytes = 100 << 20, .free_bytes = 6 << 20});
  buffer->disk_round(kNow);
  CHECK_FALSE(buffer->state().free_space_guard);
  CHECK(buffer->state().segments == 1);
  CHECK(taken(*buffer) == Times{2});
}

TEST_CASE_METHOD(Fixture,
                 "the free-space guard ends when there is space, even if nothing waits any more") {
  files.set_space({.total_bytes = 100 << 20, .free_bytes = 4 << 20});
  append({1});
  buffer->disk_round(kNow);
  REQUIRE(buffer->state().free_space_guard);
  taken(*buffer);
  files.set_space({.total_bytes = 100 << 20, .free_bytes = 6 << 20});
  buffer->disk_round(kNow);
  CHECK_FALSE(buffer->state().free_space_guard);
}

TEST_CASE_METHOD(Fixture,
                 "a disk that fails is left alone until it works, also if nothing waits any more") {
  append({1});
  files.fail("/disk", "No space left on device");
  buffer->disk_round(kNow);
  CHECK(buffer->state().memory_only);
  CHECK(buffer->state().segments == 0);
  append({2});
  SECTION("then what waits goes there") {
    files.fail("", "");
    buffer->disk_round(kNow);
    CHECK(buffer->state().segments == 1);
    CHECK(taken(*buffer) == Times{1, 2});
  }
  SECTION("then it is known to work") {
    CHECK(taken(*buffer) == Times{1, 2});
    buffer->disk_round(kNow);
    CHECK(buffer->state().memory_only);
    files.fail("", "");
    buffer->disk_round(kNow);
  }
  CHECK_FALSE(buffer->state().memory_only);
  CHECK(buffer->state().damaged_records == 0);
  CHECK(files.names("/disk/buffer", ".bad").empty());
}

TEST_CASE_METHOD(Fixture,
                 "a failed sync is not believed the second time: it is all written again") {
  append({1, 2});
  buffer->disk_round(kNow);
  append({3, 4});
  files.fail_syncs(1);
  buffer->disk_round(kNow);
  CHECK(buffer->state().memory_only);
  buffer->disk_round(kNow);
  CHECK_FALSE(buffer->state().memory_only);
  buffer.reset();
  files.power_cut({.volatile_folder = "/run"});
  reopen();
  CHECK(peeked(*buffer) == Times{1, 2, 3, 4});
}

TEST_CASE(
    "a disk that cannot be read at the start is taken over with what it holds, oldest first") {
  MemoryFileSystem files;
  auto buffer = open(options(files));
  for (int t = 1; t <= 3; ++t) buffer->append(scrape(t, kSet, {1, 2}));
  buffer->disk_round(kNow);
  buffer.reset();
  files.fail_reads("/disk", "Input/output error");
  buffer = open(options(files));
  CHECK(buffer->state().memory_only);
  buffer->append(scrape(4, kSet, {1, 2}));
  CHECK(taken(*buffer) == Times{4});
  buffer->append(scrape(5, kSet, {1, 2}));
  files.fail_reads("", "");
  buffer->disk_round(kNow);
  CHECK_FALSE(buffer->state().memory_only);
  CHECK(buffer->state(0).samples == 8);
  CHECK(taken(*buffer) == Times{1, 2, 3, 5});
  CHECK(buffer->state(0).samples == 0);
  CHECK(dropped(*buffer, 0, DropReason::damage) == 0);
}

TEST_CASE_METHOD(Fixture,
                 "what was written before a write failed is on disk when it leaves memory") {
  append({1, 2, 3});
  // The segment is made, cut to nothing and gets its header; of the scrapes the second fails.
  const auto second_write = files.changes() + 4;
  files.fail_between(second_write, second_write + 1);
  buffer->disk_round(kNow);
  REQUIRE(buffer->state().memory_only);
  buffer->disk_round(kNow);
  buffer.reset();
  files.power_cut({.volatile_folder = "/run"});
  reopen();
  CHECK(peeked(*buffer) == Times{1, 2, 3});
}

TEST_CASE_METHOD(Fixture, "a scrape that no segment can hold does not hold up the others") {
  reopen(options(files, {"a", "b"}));
  std::vector<std::string> names;
  for (std::size_t i = 0; i <= kSeriesMax; ++i) names.push_back(std::to_string(i));
  append({1});
  buffer->append(scrape(2, series_set(names), std::vector<double>(names.size(), 1)));
  CHECK(newest_taken(*buffer, 0) == Times{2});  // whoever takes it from memory gets it
  append({3});
  buffer->disk_round(kNow);
  CHECK_FALSE(buffer->state().memory_only);
  CHECK(dropped(*buffer, 0, DropReason::too_large) == 0);
  CHECK(dropped(*buffer, 1, DropReason::too_large) == names.size());
  CHECK(buffer->state(1).samples == 4);
  reopen(options(files, {"a", "b"}));
  CHECK(taken(*buffer, 0) == Times{1, 3});
  CHECK(taken(*buffer, 1) == Times{1, 3});
}

TEST_CASE_METHOD(Fixture, "a folder that is taken away is made again; what was in it is counted") {
  append({1, 2});
  buffer->disk_round(kNow);
  files.remove_tree("/disk");
  append({3});
  buffer->disk_round(kNow);
  CHECK(buffer->state(0).samples == 2);
  CHECK(dropped(*buffer, 0, DropReason::damage) == 4);
  reopen();
  CHECK(taken(*buffer) == Times{3});
}

TEST_CASE_METHOD(Fixture, "the disk thread spills what waits, and closes with everything on disk",
                 "[threads]") {
  auto quick = options(files);
  quick.timing = {.spill_after_ns = kNsPerMs, .rest_ns = kNsPerMs, .retry_ns = kNsPerMs};
  reopen(quick);
  std::thread disk([&] { buffer->run_disk(); });
  append({1});
  buffer->pause(0, monotonic_ns());  // as a sender whose request failed
  files.wait_for("/disk/buffer/0000000000000001.seg");
  append({2, 3});
  CHECK(buffer->close(monotonic_ns() + 60 * kNsPerSecond));
  disk.join();
  buffer.reset();
  files.power_cut({.volatile_folder = "/run"});
  reopen();
  CHECK(peeked(*buffer) == Times{1, 2, 3});
}

TEST_CASE_METHOD(Fixture, "a disk that hangs does not hold up a close beyond its deadline") {
  // No disk thread runs: that is how one that hangs looks from here.
  CHECK_FALSE(buffer->close(monotonic_ns() + kNsPerMs));
}

}  // namespace msp
