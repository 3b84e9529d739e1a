#include "agent/buffer/buffer.h"

#include <unistd.h>
#include <catch2/catch.hpp>

#include <limits>
#include <thread>

#include "agent/core/clock.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using test::MemoryFileSystem;
using test::scrape;
using Times = std::vector<std::int64_t>;

constexpr std::size_t kMany = 1 << 20;
constexpr std::int64_t kNow = std::numeric_limits<std::int64_t>::max();
const auto kSet = test::series_set({"a", "b"});

Buffer::Options options(MemoryFileSystem& files, std::vector<std::string> endpoints = {"a"}) {
  Buffer::Options options;
  options.endpoints = std::move(endpoints);
  options.folder = "/disk/buffer";
  options.head_folder = "/run/buffer";
  options.files = &files;
  return options;
}

std::unique_ptr<Buffer> open(Buffer::Options options) {
  auto opened = Buffer::open(std::move(options));
  INFO((opened ? "" : opened.error().text));
  REQUIRE(opened);
  return std::move(*opened);
}

struct Fixture {
  MemoryFileSystem files;
  std::unique_ptr<Buffer> buffer = open(options(files));

  void append(const Times& times) {
    for (const auto t : times) buffer->append(scrape(t, kSet, {1, 2}));
  }
  void reopen(Buffer::Options with) {
    buffer.reset();
    buffer = open(std::move(with));
  }
  void reopen() { reopen(options(files)); }
};

Times times_of(Batch& batch) {
  Times all;
  if (batch.empty()) return all;
  for (const auto& point : batch.points(batch.rows()[0])) all.push_back(point.timestamp_ms);
  return all;
}

Times peeked(Buffer& buffer, std::size_t endpoint = 0, std::size_t samples_max = kMany) {
  Batch batch;
  buffer.peek(endpoint, samples_max, batch);
  return times_of(batch);
}

Times taken(Buffer& buffer, std::size_t endpoint = 0, std::size_t samples_max = kMany) {
  Batch batch;
  if (buffer.peek(endpoint, samples_max, batch)) buffer.ack(endpoint, batch);
  return times_of(batch);
}

std::uint64_t dropped(const Buffer& buffer, std::size_t endpoint, DropReason reason) {
  return buffer.state(endpoint).dropped[static_cast<std::size_t>(reason)];
}

/// Scrapes of which a handful fill the head.
Scrape large_scrape(std::int64_t timestamp_ms) {
  constexpr std::size_t kSeries = 20'000;
  static const auto set = [] {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kSeries; ++i) names.push_back("metric_" + std::to_string(i));
    return test::series_set(names);
  }();
  return scrape(timestamp_ms, set, std::vector<double>(kSeries, 1));
}

}  // namespace

TEST_CASE_METHOD(Fixture, "what is not acknowledged is peeked again") {
  append({10});
  Batch batch;
  REQUIRE(buffer->peek(0, 100, batch));
  REQUIRE(buffer->peek(0, 100, batch));
  CHECK(times_of(batch) == Times{10});
  CHECK(buffer->state(0).samples == 2);
  CHECK(buffer->state(0).oldest_timestamp_ms == 10);
  buffer->ack(0, batch);
  CHECK_FALSE(buffer->peek(0, 100, batch));
  CHECK(batch.empty());
  CHECK(buffer->state(0).samples == 0);
  CHECK(buffer->state(0).oldest_timestamp_ms == 0);
}

TEST_CASE_METHOD(Fixture, "peek is oldest first and keeps to the limit, one scrape excepted") {
  append({1, 2, 3, 4, 5});
  CHECK(peeked(*buffer, 0, 6) == Times{1, 2, 3});
  CHECK(peeked(*buffer, 0, 1) == Times{1});
  buffer->disk_round(kNow);
  CHECK(peeked(*buffer, 0, 6) == Times{1, 2, 3});
  CHECK(peeked(*buffer, 0, 1) == Times{1});
}

TEST_CASE_METHOD(Fixture, "each endpoint has its own cursor; a dead one does not hold the others") {
  reopen(options(files, {"a", "b"}));
  append({1, 2});
  taken(*buffer, 0);
  append({3});
  CHECK(peeked(*buffer, 0) == Times{3});
  CHECK(peeked(*buffer, 1) == Times{1, 2, 3});
  CHECK(buffer->state(1).samples == 6);
  buffer->disk_round(kNow);
  append({4});
  CHECK(taken(*buffer, 0) == Times{3, 4});
  CHECK(peeked(*buffer, 1) == Times{1, 2, 3, 4});
  CHECK(buffer->state(1).samples == 8);
  CHECK(buffer->state(1).oldest_timestamp_ms == 1);
}

TEST_CASE_METHOD(Fixture,
                 "a clock that went back ends a batch: samples of a series go in time order") {
  append({10, 20, 5, 6});
  SECTION("in the head") {}
  SECTION("in the store") {
    buffer->disk_round(kNow);
  }
  CHECK(taken(*buffer) == Times{10, 20});
  CHECK(peeked(*buffer) == Times{5, 6});
}

TEST_CASE_METHOD(Fixture, "a batch goes on from the store into the head") {
  append({1, 2});
  buffer->disk_round(kNow);
  append({3, 4});
  CHECK(buffer->state().segments == 1);
  CHECK(buffer->state(0).samples == 8);
  CHECK(taken(*buffer) == Times{1, 2, 3, 4});
  CHECK(buffer->state(0).samples == 0);
  buffer->disk_round(kNow);
  CHECK(buffer->state().segments == 0);
  CHECK(buffer->state().bytes == 0);
}

TEST_CASE(
    "a head that cannot get rid of anything drops the oldest, counted for who had not got it") {
  MemoryFileSystem files;
  auto buffer = open(options(files, {"a", "b"}));
  buffer->append(large_scrape(1));
  REQUIRE(taken(*buffer, 0) == Times{1});
  Batch in_flight;
  REQUIRE(buffer->peek(1, kMany, in_flight));
  for (int t = 2; t <= 100; ++t) buffer->append(large_scrape(t));
  const auto kept = peeked(*buffer, 0, 1 << 30);
  REQUIRE_FALSE(kept.empty());
  CHECK(kept.back() == 100);
  CHECK(kept.size() == Buffer::kHeadBytesMax / (20'000 * 8 + sizeof(Scrape)));
  CHECK(buffer->state(0).samples == 20'000 * kept.size());
  CHECK(dropped(*buffer, 0, DropReason::memory) == 20'000 * (99 - kept.size()));
  CHECK(dropped(*buffer, 1, DropReason::memory) == 20'000 * (100 - kept.size()));

  // What was in flight when the buffer had to drop it does no harm when it is acknowledged.
  buffer->ack(1, in_flight);
  CHECK(peeked(*buffer, 1, 1 << 30) == kept);
  CHECK(buffer->state(1).samples == 20'000 * kept.size());
}

TEST_CASE_METHOD(Fixture,
                 "what waits is there after a crash, from head and store, in order and once") {
  append({1, 2});
  buffer->disk_round(kNow);
  append({3});
  reopen();
  CHECK(buffer->state(0).samples == 6);
  append({4});
  CHECK(taken(*buffer) == Times{1, 2, 3, 4});
  buffer->disk_round(kNow);
  reopen();
  CHECK(peeked(*buffer).empty());
}

TEST_CASE_METHOD(Fixture, "a good day leaves nothing to be sent again and touches no disk") {
  const auto before = files.changes_below("/disk");
  for (int t = 1; t <= 50; ++t) {
    append({t});
    REQUIRE(taken(*buffer) == Times{t});
  }
  CHECK(files.changes_below("/disk") == before);
  CHECK(files.content("/run/buffer/head").size() < 300);
  reopen();
  CHECK(peeked(*buffer).empty());
}

TEST_CASE_METHOD(Fixture, "a new endpoint gets all that is kept, a known one what it lacks") {
  reopen(options(files, {"a", "b"}));
  append({1, 2, 3});
  taken(*buffer, 0);
  buffer->disk_round(kNow);
  reopen(options(files, {"new", "a", "b"}));
  CHECK(peeked(*buffer, 0) == Times{1, 2, 3});
  CHECK(peeked(*buffer, 1).empty());
  CHECK(peeked(*buffer, 2) == Times{1, 2, 3});
}

TEST_CASE_METHOD(Fixture, "an endpoint that is no longer configured holds nothing") {
  reopen(options(files, {"a", "b"}));
  append({1, 2, 3});
  taken(*buffer, 0);
  buffer->disk_round(kNow);
  reopen();
  buffer->disk_round(kNow);
  CHECK(buffer->state().segments == 0);
}

TEST_CASE_METHOD(Fixture,
                 "a cursor beyond all that is kept sends it again rather than not at all") {
  append({1, 2, 3});
  buffer->disk_round(kNow);
  buffer.reset();
  REQUIRE(save_cursors(files, "/disk/buffer", {{"a", 1'000'000}}));
  reopen();
  CHECK(peeked(*buffer) == Times{1, 2, 3});
  append({4});
  CHECK(taken(*buffer) == Times{1, 2, 3, 4});
}

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

TEST_CASE_METHOD(Fixture, "a second buffer on the same folder is told who has the first") {
  const auto second = Buffer::open(options(files));
  REQUIRE_FALSE(second);
  CHECK(second.error().text == "buffer.path /disk/buffer is in use by process " +
                                   std::to_string(::getpid()) +
                                   ": stop that agent, or give this one a buffer.path of its own");
}

TEST_CASE_METHOD(Fixture, "an append ends a wait, a stop ends wait and pause") {
  std::thread waiting([&] { buffer->wait(0); });
  append({1});
  waiting.join();
  std::thread pausing([&] { buffer->pause(monotonic_ns() + 3600 * kNsPerSecond); });
  buffer->stop();
  pausing.join();
  buffer->pause(monotonic_ns() + 3600 * kNsPerSecond);
  taken(*buffer);
  buffer->wait(0);
}

TEST_CASE_METHOD(Fixture, "the disk thread spills what waits, and closes with everything on disk") {
  auto quick = options(files);
  quick.timing = {.spill_after_ns = kNsPerMs, .rest_ns = kNsPerMs, .retry_ns = kNsPerMs};
  reopen(quick);
  std::thread disk([&] { buffer->run_disk(); });
  append({1});
  buffer->pause(monotonic_ns());  // as a sender whose request failed
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
