#include "agent/buffer/buffer.h"

#include <catch2/catch.hpp>
#include <thread>

#include "agent/core/clock.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

using test::scrape;

constexpr std::size_t kRoom = 1 << 20;
const auto kSet = test::series_set({"a", "b"});

std::vector<std::int64_t> timestamps(Batch& batch) {
  std::vector<std::int64_t> all;
  if (batch.empty()) return all;
  for (const auto& point : batch.points(batch.rows()[0])) all.push_back(point.timestamp_ms);
  return all;
}

std::vector<std::int64_t> peeked(Buffer& buffer, std::size_t endpoint, std::size_t samples_max) {
  Batch batch;
  buffer.peek(endpoint, samples_max, batch);
  return timestamps(batch);
}

}  // namespace

TEST_CASE("what is not acknowledged is peeked again") {
  Buffer buffer(1, kRoom);
  buffer.append(scrape(10, kSet, {1, 2}));
  Batch batch;
  REQUIRE(buffer.peek(0, 100, batch));
  REQUIRE(buffer.peek(0, 100, batch));
  CHECK(timestamps(batch) == std::vector<std::int64_t>{10});
  CHECK(buffer.state(0).samples == 2);
  buffer.ack(0, batch);
  CHECK_FALSE(buffer.peek(0, 100, batch));
  CHECK(batch.empty());
  CHECK(buffer.state(0).samples == 0);
}

TEST_CASE("peek is oldest first and keeps to the limit, one scrape excepted") {
  Buffer buffer(1, kRoom);
  for (int i = 1; i <= 5; ++i) buffer.append(scrape(i, kSet, {1, 2}));
  CHECK(peeked(buffer, 0, 6) == std::vector<std::int64_t>{1, 2, 3});
  CHECK(peeked(buffer, 0, 1) == std::vector<std::int64_t>{1});
}

TEST_CASE("each endpoint has its own cursor; a dead one does not hold the others") {
  Buffer buffer(2, kRoom);
  buffer.append(scrape(1, kSet, {1, 2}));
  buffer.append(scrape(2, kSet, {1, 2}));
  Batch batch;
  buffer.peek(0, 100, batch);
  buffer.ack(0, batch);
  buffer.append(scrape(3, kSet, {1, 2}));
  CHECK(peeked(buffer, 0, 100) == std::vector<std::int64_t>{3});
  CHECK(peeked(buffer, 1, 100) == std::vector<std::int64_t>{1, 2, 3});
  CHECK(buffer.state(1).samples == 6);
}

TEST_CASE("a clock that went back ends a batch: samples of a series go in time order") {
  Buffer buffer(1, kRoom);
  for (const int t : {10, 20, 5, 6}) buffer.append(scrape(t, kSet, {1, 2}));
  Batch batch;
  buffer.peek(0, 100, batch);
  CHECK(timestamps(batch) == std::vector<std::int64_t>{10, 20});
  buffer.ack(0, batch);
  CHECK(peeked(buffer, 0, 100) == std::vector<std::int64_t>{5, 6});
}

TEST_CASE("a full buffer drops the oldest, counted for who had not got it") {
  Buffer buffer(2, 600);
  buffer.append(scrape(1, kSet, {1, 2}));
  Batch delivered;
  buffer.peek(0, 100, delivered);
  buffer.ack(0, delivered);
  for (int t = 2; t <= 100; ++t) buffer.append(scrape(t, kSet, {1, 2}));
  const auto kept = peeked(buffer, 0, 1000);
  REQUIRE_FALSE(kept.empty());
  CHECK(kept.back() == 100);
  CHECK(kept.size() < 20);
  CHECK(buffer.state(0).samples == 2 * kept.size());
  CHECK(buffer.state(0).samples_dropped == 2 * (99 - kept.size()));
  CHECK(buffer.state(1).samples_dropped == 2 * (100 - kept.size()));
}

TEST_CASE("acknowledging what the buffer had to drop meanwhile does no harm") {
  Buffer buffer(1, 600);
  buffer.append(scrape(1, kSet, {1, 2}));
  Batch in_flight;
  buffer.peek(0, 100, in_flight);
  for (int t = 2; t <= 100; ++t) buffer.append(scrape(t, kSet, {1, 2}));
  const auto before = peeked(buffer, 0, 1000);
  buffer.ack(0, in_flight);
  CHECK(peeked(buffer, 0, 1000) == before);
}

TEST_CASE("an append ends a wait, a wake ends wait and pause") {
  Buffer buffer(1, kRoom);
  std::thread waiting([&] { buffer.wait(0, 0); });
  buffer.append(scrape(1, kSet, {1, 2}));
  waiting.join();
  std::thread pausing([&] { buffer.pause(monotonic_ns() + 3600 * kNsPerSecond); });
  buffer.wake();
  pausing.join();
  buffer.pause(monotonic_ns() + 3600 * kNsPerSecond);
}

}  // namespace msp
