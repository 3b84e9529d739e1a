#include "agent/queue/queue.h"

#include <unistd.h>
#include <catch2/catch.hpp>

#include <thread>

#include "agent/base/clock.h"
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

TEST_CASE_METHOD(Fixture, "the newest can be delivered first; the others come as they would have") {
  append({1, 2, 3});
  CHECK(newest_taken(*buffer) == Times{3});
  CHECK(newest_peeked(*buffer).empty());
  CHECK(buffer->state(0).samples == 4);
  CHECK(peeked(*buffer) == Times{1, 2});
  append({4, 5});
  CHECK(newest_taken(*buffer) == Times{5});
  CHECK(peeked(*buffer) == Times{1, 2, 4});
  CHECK(buffer->state(0).oldest_timestamp_ms == 1);
  buffer->disk_round(kNow);
  CHECK(taken(*buffer, 0, 4) == Times{1, 2});
  CHECK(buffer->state(0).samples == 2);
  CHECK(taken(*buffer) == Times{4});
  CHECK(buffer->state(0).samples == 0);
  CHECK(buffer->state(0).oldest_timestamp_ms == 0);
}

TEST_CASE_METHOD(Fixture, "the newest stays at hand in memory after it has gone to disk") {
  append({1, 2});
  buffer->disk_round(kNow);
  files.fail_reads("/disk", "Input/output error");
  CHECK(newest_taken(*buffer) == Times{2});
  files.fail_reads("", "");
  CHECK(taken(*buffer) == Times{1});
  CHECK(newest_peeked(*buffer).empty());
}

TEST_CASE_METHOD(Fixture, "peek begins where it is told and steps over what is acknowledged") {
  append({1, 2, 3, 4, 5, 6});
  Batch first, second;
  REQUIRE(buffer->peek(0, 4, first));
  REQUIRE(buffer->peek(0, 4, second, first.last_sequence() + 1));
  CHECK(times_of(first) == Times{1, 2});
  CHECK(times_of(second) == Times{3, 4});
  SECTION("in the head") {}
  SECTION("in the store") {
    buffer->disk_round(kNow);
  }
  SECTION("in both") {
    buffer->disk_round(kNow);
    append({7});
    CHECK(newest_taken(*buffer) == Times{7});
  }
  buffer->ack(0, second);
  CHECK(peeked(*buffer) == Times{1, 2, 5, 6});
  CHECK(peeked(*buffer, 0, kMany, first.last_sequence()) == Times{2, 5, 6});
  CHECK(peeked(*buffer, 0, kMany, second.last_sequence()) == Times{5, 6});
  CHECK(peeked(*buffer, 0, kMany, second.last_sequence() + 100).empty());
  CHECK(buffer->state(0).samples == 8);
  buffer->ack(0, first);
  buffer->ack(0, second);
  CHECK(buffer->state(0).samples == 4);
  CHECK(taken(*buffer) == Times{5, 6});
  CHECK(buffer->state(0).samples == 0);
}

TEST_CASE_METHOD(Fixture,
                 "a restart in the middle of a drain sends again nothing that was delivered") {
  reopen(options(files, {"a", "b"}));
  append({1, 2});
  buffer->disk_round(kNow);
  append({3});
  CHECK(newest_taken(*buffer, 0) == Times{3});
  append({4, 5});
  CHECK(newest_taken(*buffer, 0) == Times{5});
  buffer->disk_round(kNow);
  buffer.reset();
  files.remove_tree("/run");  // a reboot
  reopen(options(files, {"a", "b"}));
  CHECK(buffer->state(0).samples == 6);
  CHECK(buffer->state(1).samples == 10);
  CHECK(newest_peeked(*buffer, 0).empty());
  CHECK(taken(*buffer, 0) == Times{1, 2, 4});
  CHECK(taken(*buffer, 1) == Times{1, 2, 3, 4, 5});
  CHECK(buffer->state(0).samples == 0);
  CHECK(buffer->state(1).samples == 0);
}

TEST_CASE_METHOD(Fixture,
                 "what comes after a restart with nothing left is not taken for delivered") {
  append({1, 2, 3});
  buffer->disk_round(kNow);
  SECTION("in order") {
    CHECK(taken(*buffer) == Times{1, 2, 3});
  }
  SECTION("the newest first") {
    CHECK(newest_taken(*buffer) == Times{3});
    CHECK(taken(*buffer) == Times{1, 2});
  }
  buffer->disk_round(kNow);
  CHECK(buffer->state().segments == 0);
  reopen();
  append({4});
  CHECK(buffer->state(0).samples == 2);
  CHECK(taken(*buffer) == Times{4});
}

TEST_CASE_METHOD(Fixture,
                 "what everyone has is neither kept in memory nor written, and not missed") {
  append({1, 2});
  buffer->disk_round(kNow);
  for (int t = 3; t <= 40; ++t) {
    append({t});
    CHECK(newest_taken(*buffer) == Times{t});
    buffer->disk_round(kNow);
  }
  CHECK(buffer->state().segments == 1);
  CHECK(files.content("/run/buffer/head").size() < 300);
  append({41});
  buffer->disk_round(kNow);
  CHECK(buffer->state().segments == 2);
  reopen();
  CHECK(buffer->state().damaged_records == 0);
  CHECK(buffer->state(0).samples == 6);
  CHECK(taken(*buffer) == Times{1, 2, 41});
}

TEST_CASE_METHOD(Fixture, "a power cut makes no cursor point at scrapes that are yet to come") {
  reopen(options(files, {"a", "b"}));
  append({1, 2});
  buffer->disk_round(kNow);
  append({3, 4});
  CHECK(newest_taken(*buffer, 0) == Times{4});
  SECTION("out of order") {}
  SECTION("in order") {
    CHECK(taken(*buffer, 0) == Times{1, 2, 3});
  }
  buffer->disk_round(0);  // saves the cursors; the last two are too new to be written
  CHECK(load_cursors(files, "/disk/buffer").value().at("a").end() <= 3);
  buffer.reset();
  files.power_cut({.volatile_folder = "/run", .names_kept = true});
  reopen(options(files, {"a", "b"}));
  append({5, 6, 7});
  for (const std::size_t endpoint : {0, 1}) {
    const auto all = peeked(*buffer, endpoint);
    REQUIRE(all.size() >= 3);
    CHECK(Times(all.end() - 3, all.end()) == Times{5, 6, 7});
    CHECK(buffer->state(endpoint).samples == 2 * all.size());
  }
}

TEST_CASE_METHOD(Fixture,
                 "what would make too many holes is handed out again, all is counted right") {
  Batch batch;
  std::size_t delivered = 0;
  for (int t = 1; t <= 400; t += 2) {
    append({t, t + 1});
    if (newest_taken(*buffer) == Times{t + 1}) ++delivered;
    CHECK(newest_peeked(*buffer).empty());
    CHECK_FALSE(buffer->wait_newest(0, 0));
  }
  CHECK(delivered == 200);
  const auto left = peeked(*buffer);
  CHECK(left.size() == 400 - Acknowledged::kRangesMax);
  CHECK(buffer->state(0).samples == 2 * left.size());
  CHECK(taken(*buffer) == left);
  CHECK(buffer->state(0).samples == 0);
}

TEST_CASE_METHOD(Fixture, "a wait for the newest ends with an append, a stop, or in time",
                 "[threads]") {
  CHECK_FALSE(buffer->wait_newest(0, monotonic_ns() + kNsPerMs));
  const auto long_from_now = monotonic_ns() + 3600 * kNsPerSecond;
  bool got = false;
  std::thread waiting([&] { got = buffer->wait_newest(0, long_from_now); });
  append({1});
  waiting.join();
  CHECK(got);
  CHECK(buffer->wait_newest(0, 0));
  newest_taken(*buffer);
  std::thread stopped([&] { got = buffer->wait_newest(0, long_from_now); });
  buffer->stop();
  stopped.join();
  CHECK_FALSE(got);
  append({2});
  CHECK_FALSE(buffer->wait_newest(0, long_from_now));
}

TEST_CASE_METHOD(Fixture, "a second buffer on the same folder is told who has the first") {
  const auto second = Buffer::open(options(files));
  REQUIRE_FALSE(second);
  CHECK(second.error().text == "buffer.path /disk/buffer is in use by process " +
                                   std::to_string(::getpid()) +
                                   ": stop that agent, or give this one a buffer.path of its own");
}

TEST_CASE_METHOD(Fixture, "an append ends a wait, a stop ends wait and pause", "[threads]") {
  std::thread waiting([&] { buffer->wait(0); });
  append({1});
  waiting.join();
  std::thread pausing([&] { buffer->pause(0, monotonic_ns() + 3600 * kNsPerSecond); });
  buffer->stop();
  pausing.join();
  buffer->pause(0, monotonic_ns() + 3600 * kNsPerSecond);
  taken(*buffer);
  buffer->wait(0);
}

}  // namespace msp
