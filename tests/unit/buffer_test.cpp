#include "agent/buffer/buffer.h"

#include <unistd.h>
#include <catch2/catch.hpp>

#include <thread>

#include "agent/core/clock.h"
#include "tests/support/buffer_fixture.h"

namespace msp {
namespace {

using namespace test;
using Fixture = BufferFixture;

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

TEST_CASE("a full head drops the oldest, counted for who had not got it") {
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
  REQUIRE(save_cursors(files, "/disk/buffer", {{"a", Acknowledged(1'000'000)}}));
  reopen();
  CHECK(peeked(*buffer) == Times{1, 2, 3});
  append({4});
  CHECK(taken(*buffer) == Times{1, 2, 3, 4});
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

}  // namespace msp
