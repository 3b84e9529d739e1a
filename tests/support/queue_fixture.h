// A queue on files in memory and a clock of the test's own, and what its tests ask it.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/queue/queue.h"
#include "agent/queue/spiller.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/scrapes.h"

namespace msp::test {

using Times = std::vector<std::int64_t>;

inline constexpr std::size_t kMany = 1 << 20;
inline const auto kSet = series_set({"a", "b"});

inline Times times_of(queue::Batch& batch) {
  Times all;
  for (const auto& entry : batch.entries()) all.push_back(entry.last_timestamp_ms());
  return all;
}

struct QueueFixture {
  MemoryFileSystem files;
  FakeClock clock;
  std::vector<std::string> told;  // notices
  queue::Queue::Options with = {
      .folder = "/disk/buffer",
      .wal_folder = "/run/buffer",
      .limits = {},
      .timing = {},
      .files = &files,
      .clock = &clock,
      .notify = [this](const queue::Notice& notice) { told.push_back(notice.text); }};
  std::unique_ptr<queue::Queue> queue;
  std::unique_ptr<queue::Spiller> spiller;

  explicit QueueFixture(const std::vector<std::string>& consumers = {"a"}) { open(consumers); }

  void open(const std::vector<std::string>& consumers) {
    auto opened = queue::Queue::open(with);
    INFO((opened ? "" : opened.error().text));
    REQUIRE(opened);
    queue = std::move(*opened);
    spiller = std::make_unique<queue::Spiller>(*queue);
    for (const auto& name : consumers) queue->add_consumer(name);
  }
  /// As after a crash: nothing is closed in order.
  void close() {
    spiller.reset();
    queue.reset();
  }
  /// The next start.
  void reopen(const std::vector<std::string>& consumers = {"a"}) {
    close();
    clock.advance(kNsPerSecond);
    open(consumers);
  }

  void append(const Times& times) {
    for (const auto t : times) queue->append(scrape(t, kSet, {1, 2}));
  }
  /// A round of the spiller with all that waits.
  void round() { spiller->round(true); }

  Times read(const queue::Wanted& wanted, std::size_t consumer, bool ack) {
    queue::Batch batch;
    if (!queue->read(consumer, wanted, batch)) return {};
    auto times = times_of(batch);
    ack ? queue->ack(consumer, batch) : queue->release(consumer, batch);
    return times;
  }
  Times peeked(std::size_t consumer = 0, std::size_t samples_max = kMany) {
    return read({.lane = queue::Wanted::Lane::all, .samples_max = samples_max}, consumer, false);
  }
  Times taken(std::size_t consumer = 0, std::size_t samples_max = kMany) {
    return read({.lane = queue::Wanted::Lane::all, .samples_max = samples_max}, consumer, true);
  }
  Times live_peeked(std::size_t consumer = 0) {
    return read({.lane = queue::Wanted::Lane::live, .samples_max = kMany}, consumer, false);
  }
  Times live_taken(std::size_t consumer = 0) {
    return read({.lane = queue::Wanted::Lane::live, .samples_max = kMany}, consumer, true);
  }
  Times backlog_peeked(std::size_t consumer = 0) {
    return read({.lane = queue::Wanted::Lane::backlog, .samples_max = kMany}, consumer, false);
  }
  std::size_t waiting(std::size_t consumer = 0) const { return queue->state(consumer).samples; }
  std::uint64_t dropped(std::size_t consumer, queue::DropReason reason) const {
    return queue->state(consumer).dropped[static_cast<std::size_t>(reason)];
  }
  std::size_t told_count(const std::string& words) const {
    return static_cast<std::size_t>(std::count_if(
        told.begin(), told.end(),
        [&](const std::string& text) { return text.find(words) != std::string::npos; }));
  }
};

}  // namespace msp::test
