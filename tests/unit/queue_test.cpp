#include "agent/queue/queue.h"

#include <unistd.h>
#include <catch2/catch.hpp>

#include "agent/base/text.h"
#include "tests/support/queue_fixture.h"

namespace msp {
namespace {

using namespace test;
using Fixture = QueueFixture;

/// Scrapes of which a handful fill the head.
metrics::Scrape large_scrape(std::int64_t timestamp_ms) {
  constexpr std::size_t kSeries = 20'000;
  static const auto set = [] {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kSeries; ++i) names.push_back("metric_" + std::to_string(i));
    return test::series_set(names);
  }();
  return scrape(timestamp_ms, set, std::vector<double>(kSeries, 1));
}

}  // namespace

TEST_CASE_METHOD(Fixture, "peek is oldest first and keeps to the limit, one scrape excepted") {
  append({1, 2, 3, 4, 5});
  CHECK(peeked(0, 6) == Times{1, 2, 3});
  CHECK(peeked(0, 1) == Times{1});
  round();
  CHECK(peeked(0, 6) == Times{1, 2, 3});
  CHECK(peeked(0, 1) == Times{1});
}

TEST_CASE_METHOD(Fixture, "each endpoint has its own cursor; a dead one does not hold the others") {
  reopen({"a", "b"});
  append({1, 2});
  taken(0);
  append({3});
  CHECK(peeked(0) == Times{3});
  CHECK(peeked(1) == Times{1, 2, 3});
  CHECK(waiting(1) == 6);
  round();
  append({4});
  CHECK(taken(0) == Times{3, 4});
  CHECK(peeked(1) == Times{1, 2, 3, 4});
  CHECK(waiting(1) == 8);
  CHECK(queue->state(1).oldest_timestamp_ms == 1);
}

TEST_CASE_METHOD(Fixture,
                 "a clock that went back ends a batch: samples of a series go in time order") {
  append({10, 20, 5, 6});
  SECTION("in memory") {}
  SECTION("on disk") {
    round();
  }
  CHECK(taken() == Times{10, 20});
  CHECK(peeked() == Times{5, 6});
}

TEST_CASE_METHOD(Fixture, "a batch goes on from the disk into the memory") {
  append({1, 2});
  round();
  append({3, 4});
  CHECK(queue->state().segments == 1);
  CHECK(waiting(0) == 8);
  CHECK(taken() == Times{1, 2, 3, 4});
  CHECK(waiting(0) == 0);
  round();
  CHECK(queue->state().segments == 0);
  CHECK(queue->state().bytes == 0);
}

TEST_CASE_METHOD(Fixture,
                 "what waits is there after a crash, from memory and disk, in order and once") {
  append({1, 2});
  round();
  append({3});
  reopen();
  CHECK(waiting(0) == 6);
  append({4});
  CHECK(taken() == Times{1, 2, 3, 4});
  round();
  reopen();
  CHECK(peeked().empty());
}

TEST_CASE_METHOD(Fixture, "a good day leaves nothing to be sent again and touches no disk") {
  const auto before = files.changes_below("/disk");
  for (int t = 1; t <= 50; ++t) {
    append({t});
    REQUIRE(taken() == Times{t});
  }
  CHECK(files.changes_below("/disk") == before);
  CHECK(files.content("/run/buffer/wal").size() < 70'000);
  reopen();
  CHECK(peeked().empty());
}

TEST_CASE_METHOD(Fixture, "an endpoint that is no longer configured holds nothing") {
  reopen({"a", "b"});
  append({1, 2, 3});
  taken(0);
  round();
  reopen();
  round();
  CHECK(queue->state().segments == 0);
}

TEST_CASE_METHOD(Fixture, "the newest can be delivered first; the others come as they would have") {
  append({1, 2, 3});
  CHECK(live_taken() == Times{3});
  CHECK(live_peeked().empty());
  CHECK(waiting(0) == 4);
  CHECK(peeked() == Times{1, 2});
  append({4, 5});
  CHECK(live_taken() == Times{5});
  CHECK(peeked() == Times{1, 2, 4});
  CHECK(queue->state(0).oldest_timestamp_ms == 1);
  round();
  CHECK(taken(0, 4) == Times{1, 2});
  CHECK(waiting(0) == 2);
  CHECK(taken() == Times{4});
  CHECK(waiting(0) == 0);
  CHECK(queue->state(0).oldest_timestamp_ms == 0);
}

TEST_CASE_METHOD(Fixture, "the newest stays at hand in memory after it has gone to disk") {
  append({1, 2});
  round();
  files.fail_reads("/disk", "Input/output error");
  CHECK(live_taken() == Times{2});
  files.fail_reads("", "");
  CHECK(taken() == Times{1});
  CHECK(live_peeked().empty());
}

TEST_CASE_METHOD(Fixture,
                 "a restart in the middle of a drain sends again nothing that was delivered") {
  reopen({"a", "b"});
  append({1, 2});
  round();
  append({3});
  CHECK(live_taken(0) == Times{3});
  append({4, 5});
  CHECK(live_taken(0) == Times{5});
  round();
  close();
  files.remove_tree("/run");  // a reboot
  reopen({"a", "b"});
  CHECK(waiting(0) == 6);
  CHECK(waiting(1) == 10);
  CHECK(live_peeked(0).empty());
  CHECK(taken(0) == Times{1, 2, 4});
  CHECK(taken(1) == Times{1, 2, 3, 4, 5});
  CHECK(waiting(0) == 0);
  CHECK(waiting(1) == 0);
}

TEST_CASE_METHOD(Fixture,
                 "what comes after a restart with nothing left is not taken for delivered") {
  append({1, 2, 3});
  round();
  SECTION("in order") {
    CHECK(taken() == Times{1, 2, 3});
  }
  SECTION("the newest first") {
    CHECK(live_taken() == Times{3});
    CHECK(taken() == Times{1, 2});
  }
  round();
  CHECK(queue->state().segments == 0);
  reopen();
  append({4});
  CHECK(waiting(0) == 2);
  CHECK(taken() == Times{4});
}

TEST_CASE_METHOD(Fixture,
                 "what everyone has is neither kept in memory nor written, and not missed") {
  append({1, 2});
  round();
  for (int t = 3; t <= 40; ++t) {
    append({t});
    CHECK(live_taken() == Times{t});
    round();
  }
  CHECK(queue->state().segments == 1);
  CHECK(files.content("/run/buffer/wal").size() < 70'000);
  append({41});
  round();
  CHECK(queue->state().segments == 1);
  reopen();
  CHECK(queue->state().damaged_records == 0);
  CHECK(waiting(0) == 6);
  CHECK(taken() == Times{1, 2, 41});
}

TEST_CASE_METHOD(Fixture,
                 "what is read is in no other batch until it is acknowledged or put back") {
  append({10, 20});
  queue::Batch live, backlog;
  REQUIRE(queue->read(0, {.lane = queue::Wanted::Lane::live, .samples_max = kMany}, live));
  REQUIRE(queue->read(0, {.lane = queue::Wanted::Lane::all, .samples_max = kMany}, backlog));
  CHECK(times_of(live) == Times{20});
  CHECK(times_of(backlog) == Times{10});
  CHECK(peeked().empty());
  queue->release(0, live);
  CHECK(peeked() == Times{20});
  queue->ack(0, backlog);
  CHECK(waiting(0) == 2);
  CHECK(queue->state(0).oldest_timestamp_ms == 20);
  CHECK(taken() == Times{20});
  CHECK(queue->state(0).oldest_timestamp_ms == 0);
  CHECK_FALSE(queue->has_waiting(0));
}

TEST_CASE_METHOD(Fixture, "live is the newest of each stream, and all since the given time") {
  const auto of = [](std::int64_t t, const char* stream) {
    auto one = scrape(t, kSet, {1, 2});
    one.stream = std::make_shared<const metrics::Stream>(metrics::Stream{stream});
    return one;
  };
  queue->append(of(1, "host"));
  queue->append(of(2, "mysqld"));
  clock.advance(15 * kNsPerSecond);
  queue->append(of(3, "host"));
  queue->append(of(4, "mysqld"));
  queue->append(of(5, "redis"));
  CHECK(live_peeked() == Times{3, 4, 5});
  CHECK(backlog_peeked() == Times{1, 2});
  const auto since = clock.monotonic_ns() - 20 * kNsPerSecond;
  CHECK(read({.lane = queue::Wanted::Lane::live, .samples_max = kMany, .live_since_ns = since}, 0,
             false) == Times{1, 2, 3, 4, 5});
  SECTION("from memory") {}
  SECTION("from memory after all of it has gone to disk") {
    round();
  }
  CHECK(live_taken() == Times{3, 4, 5});
  CHECK(live_peeked().empty());
  CHECK(taken() == Times{1, 2});
}

TEST_CASE_METHOD(Fixture, "a relay's requests wait beside the scrapes and are joined on disk") {
  std::string message;
  REQUIRE(queue::compress_frame("at least a byte for each sample ", message));
  const auto request = [&](std::int64_t t) {
    return queue::Request{std::make_shared<const metrics::Stream>(metrics::Stream{"relay/alpha"}),
                          7, t, t, message};
  };
  append({1});
  queue->append(request(2));
  queue->append(request(3));
  append({4});
  CHECK(waiting(0) == 18);
  SECTION("in memory") {
    CHECK(peeked() == Times{1, 2, 3, 4});
  }
  SECTION("after a crash") {
    reopen();
    CHECK(peeked() == Times{1, 2, 3, 4});
  }
  SECTION("on disk") {
    round();
    close();
    files.power_cut({.volatile_folder = "/run"});
    reopen();
    CHECK(waiting(0) == 18);
    queue::Batch batch;
    REQUIRE(queue->read(0, {.lane = queue::Wanted::Lane::all, .samples_max = kMany}, batch));
    REQUIRE(batch.entries().size() == 3);
    const auto& joined = *batch.entries()[1].request;
    CHECK(joined.samples == 14);
    CHECK(joined.first_timestamp_ms == 2);
    CHECK(joined.last_timestamp_ms == 3);
    CHECK(queue::content_of(joined.message, 100).value() ==
          "at least a byte for each sample at least a byte for each sample ");
    queue->ack(0, batch);
    CHECK(waiting(0) == 0);
  }
}

TEST_CASE_METHOD(Fixture,
                 "what the format cannot keep is told, once an hour, and not kept silently") {
  std::string message;
  REQUIRE(queue::compress_frame("x", message));
  const auto stream = std::make_shared<const metrics::Stream>(metrics::Stream{"relay/alpha"});
  for (int t = 1; t <= 3; ++t) queue->append(queue::Request{stream, 7, t, t, message});
  append({4});
  CHECK(told_count("of the stream 'relay/alpha' has 7 samples") == 1);
  CHECK(told_count("cannot be kept on disk") == 1);
  CHECK(peeked() == Times{1, 2, 3, 4});
  clock.advance(3601 * kNsPerSecond);
  queue->append(queue::Request{stream, 7, 5, 5, message});
  CHECK(told_count("cannot be kept on disk") == 2);
  round();
  CHECK(dropped(0, queue::DropReason::too_large) == 28);
  CHECK(taken() == Times{4});
  CHECK(waiting() == 0);
}

TEST_CASE_METHOD(Fixture, "requests of which a consumer has some are not joined") {
  std::string message;
  REQUIRE(queue::compress_frame("at least a byte for each sample", message));
  const auto stream = std::make_shared<const metrics::Stream>(metrics::Stream{"relay/alpha"});
  reopen({"a", "b"});
  for (int t = 1; t <= 2; ++t) {
    queue->append(queue::Request{stream, static_cast<std::uint64_t>(t), t, t, message});
  }
  SECTION("acknowledged") {
    CHECK(taken(0, 1) == Times{1});
    round();
    CHECK(waiting(0) == 2);
    CHECK(taken(0) == Times{2});
  }
  SECTION("on its way") {
    queue::Batch batch;
    REQUIRE(queue->read(0, {.lane = queue::Wanted::Lane::all, .samples_max = 1}, batch));
    round();
    CHECK(peeked(0) == Times{2});
    queue->ack(0, batch);
    CHECK(waiting(0) == 2);
    CHECK(taken(0) == Times{2});
  }
  SECTION("neither: then what is in memory is what is on disk") {
    files.fail("/disk", "No space left on device");
    round();
    CHECK(peeked(0) == Times{2});
    CHECK(taken(0) == Times{2});
  }
  CHECK(waiting(0) == 0);
  CHECK(waiting(1) == 3);
}

TEST_CASE("a full memory drops the oldest, counted for each consumer that had not got it") {
  QueueFixture f({"a", "b"});
  f.queue->append(large_scrape(1));
  REQUIRE(f.taken(0) == Times{1});
  queue::Batch in_flight;
  REQUIRE(f.queue->read(1, {.lane = queue::Wanted::Lane::all, .samples_max = kMany}, in_flight));
  for (int t = 2; t <= 100; ++t) f.queue->append(large_scrape(t));
  const auto kept = f.peeked(0, 1 << 30);
  REQUIRE_FALSE(kept.empty());
  CHECK(kept.back() == 100);
  CHECK(kept.size() == queue::Queue::kMemoryBytesMax / (20'000 * 8 + sizeof(metrics::Scrape)));
  CHECK(f.waiting(0) == 20'000 * kept.size());
  CHECK(f.dropped(0, queue::DropReason::memory) == 20'000 * (99 - kept.size()));

  // What was in flight when it had to be dropped is not lost when it arrives.
  CHECK(f.waiting(1) == 20'000 * (kept.size() + 1));
  f.queue->ack(1, in_flight);
  CHECK(f.dropped(1, queue::DropReason::memory) == 20'000 * (99 - kept.size()));
  CHECK(f.peeked(1, 1 << 30) == kept);
  CHECK(f.waiting(1) == 20'000 * kept.size());
}

TEST_CASE_METHOD(Fixture, "a new consumer gets what is appended from now on, a known one goes on") {
  reopen({"a", "b"});
  append({1, 2, 3});
  taken(0);
  round();
  SECTION("at a start") {
    reopen({"new", "a", "b"});
  }
  SECTION("at a reload") {
    queue->add_consumer("new");
    queue->remove_consumer(queue->add_consumer("gone"));
    reopen({"new", "a", "b"});
  }
  append({4});
  CHECK(peeked(0) == Times{4});
  CHECK(peeked(1) == Times{4});
  CHECK(peeked(2) == Times{1, 2, 3, 4});
}

TEST_CASE_METHOD(Fixture, "where the offsets are lost everyone gets all that is kept") {
  append({1, 2, 3});
  round();
  taken();
  append({4});
  round();
  close();
  SECTION("no file") {
    auto folder = files.open_folder("/disk/buffer");
    REQUIRE((*folder)->remove("offsets"));
  }
  SECTION("damaged") {
    files.set_content("/disk/buffer/offsets", "msp-agent offsets 1\n12 a\nchecksum 1\n");
  }
  files.remove_tree("/run");
  reopen();
  CHECK(peeked() == Times{1, 2, 3, 4});  // they are in one segment
}

TEST_CASE_METHOD(Fixture, "a crash sends again only what was under way, to each consumer") {
  reopen({"a", "b"});
  append({1, 2, 3});
  taken(0);
  append({4});
  CHECK(taken(0) == Times{4});
  reopen({"a", "b"});
  CHECK(peeked(0).empty());
  CHECK(peeked(1) == Times{1, 2, 3, 4});
  CHECK(waiting(0) == 0);
  CHECK(waiting(1) == 8);
}

TEST_CASE_METHOD(Fixture, "a power cut makes no offset point at entries that are yet to come") {
  reopen({"a", "b"});
  append({1, 2});
  round();
  append({3, 4});
  CHECK(live_taken(0) == Times{4});
  SECTION("out of order") {}
  SECTION("in order") {
    CHECK(taken(0) == Times{1, 2, 3});
  }
  spiller->round();  // saves the offsets; the last two are too new to be written
  close();
  files.power_cut({.volatile_folder = "/run", .names_kept = true});
  SECTION("and a clock that is behind") {
    clock.step_wall(-3600 * kNsPerSecond);
  }
  reopen({"a", "b"});
  append({5, 6, 7});
  for (const std::size_t consumer : {0, 1}) {
    const auto all = peeked(consumer);
    REQUIRE(all.size() >= 3);
    CHECK(Times(all.end() - 3, all.end()) == Times{5, 6, 7});
    CHECK(waiting(consumer) == 2 * all.size());
  }
}

TEST_CASE_METHOD(Fixture,
                 "what would make too many holes is handed out again, all is counted right") {
  std::size_t delivered = 0;
  for (int t = 1; t <= 1000; t += 2) {
    append({t, t + 1});
    if (live_taken() == Times{t + 1}) ++delivered;
    CHECK(live_peeked().empty());
  }
  CHECK(delivered == 500);
  const auto left = peeked();
  CHECK(left.size() == 1000 - queue::Offset::kRangesMax);
  CHECK(waiting(0) == 2 * left.size());
  // The newest too, where no other comes: it is in one of the lanes.
  CHECK(left.back() == 1000);
  CHECK(live_peeked().empty());
  CHECK(backlog_peeked() == left);
  CHECK(taken() == left);
  CHECK(waiting(0) == 0);
}

TEST_CASE_METHOD(Fixture,
                 "a log that cannot be read at the start is read later, not written over") {
  append({1, 2});
  close();
  files.fail_reads("/run", "Input/output error");
  open({"a"});
  CHECK(told_count("Input/output error; until it works again") == 1);
  append({3});
  SECTION("by the next process") {
    files.fail_reads("", "");
    reopen();
    CHECK(taken() == Times{1, 2});
  }
  SECTION("by this one, and then it is in the log again") {
    files.fail_reads("", "");
    clock.advance(with.timing.retry_ns);
    append({4});
    CHECK(told_count("survives a crash again") == 1);
    if (const bool crash = GENERATE(false, true); crash) reopen();
    CHECK(waiting() == 8);
    CHECK(taken() == Times{3});
    CHECK(taken() == Times{1, 2, 4});
    CHECK(waiting() == 0);
  }
}

TEST_CASE_METHOD(Fixture,
                 "the log of a long outage is written anew seldom, and is small after it") {
  files.fail("/disk", "No space left on device");
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back(cat("a_series_with_a_long_name_", i));
  const auto wide = series_set(names);
  const std::vector<double> values(names.size(), 1);
  const auto before = files.changes_below("/run");
  constexpr std::uint64_t kAppends = 3'000;
  for (std::uint64_t t = 1; t <= kAppends; ++t) {
    queue->append(scrape(static_cast<std::int64_t>(t), wide, values));
  }
  // One write each; written anew, it takes a few calls more.
  CHECK(files.changes_below("/run") - before < kAppends + 100);
  while (!taken().empty()) {
  }
  append({kAppends + 1, kAppends + 2});
  CHECK(files.content("/run/buffer/wal").size() < 2 * 64 * 1024);
}

TEST_CASE_METHOD(Fixture, "an append wakes each consumer, the end of a consumer that one") {
  int a = 0, b = 0;
  queue->add_consumer("a", [&] { ++a; });
  const auto number = queue->add_consumer("b", [&] { ++b; });
  append({1});
  CHECK(a == 1);
  CHECK(b == 1);
  queue->end_consumer(number);
  CHECK(a == 1);
  CHECK(b == 2);
}

TEST_CASE_METHOD(Fixture, "a second queue on the same folder is told which process has the first") {
  const auto second = queue::Queue::open(with);
  REQUIRE_FALSE(second);
  CHECK(second.error().text == "buffer.path /disk/buffer is in use by process " +
                                   std::to_string(::getpid()) +
                                   ": stop that agent, or give this one a buffer.path of its own");
}

TEST_CASE_METHOD(QueueFixture,
                 "what was acknowledged before the log was written anew is not lost") {
  round();  // the offsets' file knows nothing of what comes
  for (std::int64_t t = 1; t <= 6'000; ++t) {
    append({t});
    REQUIRE(taken() == Times{t});
  }
  SECTION("in the same life") {}
  SECTION("in an earlier life") {
    reopen();
    for (std::int64_t t = 6'001; t <= 12'000; ++t) {
      append({t});
      REQUIRE(taken() == Times{t});
    }
  }
  append({20'000});
  reopen();
  CHECK(dropped(0, queue::DropReason::damage) == 0);
  CHECK(told_count("lost") == 0);
  CHECK(peeked() == Times{20'000});
}

}  // namespace msp
