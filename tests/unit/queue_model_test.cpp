// The queue against the simplest model of it: for each consumer, the set of entries that it still
// has to get. Whatever is appended, read in any lane, acknowledged in whatever order, put back,
// dropped by a limit, held up by a disk that fails, interrupted by a restart or found on a disk that
// is mounted late: no sample is lost or miscounted.
#include <catch2/catch.hpp>

#include <array>
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/queue/compression.h"
#include "tests/support/queue_fixture.h"
#include "tests/support/random_scrapes.h"

namespace msp {
namespace {

using namespace test;
using QueueEntry = msp::queue::Entry;  // test::Entry is another one
using Lane = queue::Wanted::Lane;

constexpr std::size_t kConsumers = 3;
constexpr std::size_t kSeriesMax = 4;
constexpr std::uint64_t kTooLittle = 8 * 700;
constexpr std::int64_t kFirstMs = FakeClock::kWallStartNs / kNsPerMs;

std::shared_ptr<const metrics::SeriesSet> set_of(std::size_t series) {
  static const auto sets = [] {
    std::vector<std::shared_ptr<const metrics::SeriesSet>> sets;
    std::vector<std::string> names;
    for (std::size_t i = 0; i <= kSeriesMax; ++i) {
      sets.push_back(series_set(names));
      names.push_back("metric_" + std::to_string(i));
    }
    return sets;
  }();
  return sets[series];
}

metrics::StreamPtr stream_of(std::size_t number) {
  static const std::vector<metrics::StreamPtr> streams = {
      nullptr, std::make_shared<const metrics::Stream>(metrics::Stream{"host"}),
      std::make_shared<const metrics::Stream>(metrics::Stream{"mysqld"}),
      std::make_shared<const metrics::Stream>(metrics::Stream{"relay/alpha"}),
      std::make_shared<const metrics::Stream>(metrics::Stream{"relay/beta"})};
  return streams[number];
}

std::vector<double> values_of(std::int64_t number, std::size_t series) {
  std::vector<double> values;
  for (std::size_t i = 0; i < series; ++i) {
    values.push_back(static_cast<double>(number * 10) + static_cast<double>(i));
  }
  return values;
}

metrics::Scrape scrape_of(std::int64_t number, std::size_t series, std::size_t stream) {
  auto made = scrape(kFirstMs + number, set_of(series), values_of(number, series));
  made.stream = stream_of(stream);
  return made;
}

/// Its content is its number, once for each sample.
queue::Request request_of(std::int64_t number, std::size_t samples, std::size_t stream) {
  std::string content;
  for (std::size_t i = 0; i < samples; ++i) {
    content.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }
  queue::Request request{stream_of(stream), samples, kFirstMs + number, kFirstMs + number, {}};
  REQUIRE(queue::compress_frame(content, request.message));
  return request;
}

/// Number of what was appended -> its samples.
using Numbers = std::map<std::int64_t, std::size_t>;

/// Of a request, one for each sample.
std::vector<std::int64_t> content_numbers(const QueueEntry& entry) {
  if (entry.scrape != nullptr) return {entry.scrape->timestamp_ms - kFirstMs};
  const auto content = queue::content_of(entry.request->message, 1 << 20);
  if (!content) return {};
  std::vector<std::int64_t> numbers(content->size() / sizeof(std::int64_t));
  std::memcpy(numbers.data(), content->data(), numbers.size() * sizeof(std::int64_t));
  return numbers;
}

/// What is in an entry, which is whole and as it went in.
Numbers numbers_of(const QueueEntry& entry) {
  Numbers numbers;
  if (entry.scrape != nullptr) {
    const auto number = entry.scrape->timestamp_ms - kFirstMs;
    REQUIRE(entry.scrape->values == values_of(number, entry.scrape->values.size()));
    numbers[number] = entry.scrape->values.size();
    return numbers;
  }
  const auto all = content_numbers(entry);
  REQUIRE(all.size() == entry.request->samples);
  for (const auto number : all) ++numbers[number];
  REQUIRE(entry.request->first_timestamp_ms == kFirstMs + numbers.begin()->first);
  REQUIRE(entry.request->last_timestamp_ms == kFirstMs + numbers.rbegin()->first);
  return numbers;
}

Numbers numbers_of(const queue::Batch& batch) {
  Numbers all;
  for (const auto& entry : batch.entries()) {
    for (const auto& [number, samples] : numbers_of(entry)) {
      REQUIRE((all.empty() || number > all.rbegin()->first));
      all[number] = samples;
    }
  }
  return all;
}

class World {
 public:
  World(std::uint64_t seed, std::uint64_t bytes_max, bool late_mounts)
      : late_mounts_(late_mounts), random_(seed) {
    fixture_.close();
    fixture_.files.mount("/disk/buffer", "disk");
    fixture_.with.limits.bytes_max = bytes_max;
    fixture_.with.limits.free_bytes_min = 0;
    fixture_.open(kNames);
  }

  void step() {
    fixture_.clock.advance(static_cast<std::int64_t>(below(2 * kNsPerSecond)));
    const auto consumer = below(kConsumers);
    switch (below(18)) {
      default:
        return append();
      case 0:
      case 1:
        return read(consumer, Lane::all);
      case 2:
      case 3:
        return read(consumer, Lane::live);
      case 4:
      case 5:
        return read(consumer, Lane::backlog);
      case 6:
      case 7:
      case 8:
        return finish_one();
      case 9:
        return round(false);
      case 10:
        return round(true);
      case 11:
        return late_mounts_ ? round(true) : round_with_fault();
      case 12:
        return read_with_fault(consumer);
      case 13:
        if (below(3) == 0) return restart(below(2) == 0);
        return;
      case 14:
        if (late_mounts_ && below(4) == 0)
          return away_.has_value() ? mount() : restart_without_disk();
    }
  }

  void check_counts() const {
    for (std::size_t consumer = 0; consumer < kConsumers; ++consumer) {
      INFO("consumer " << consumer);
      std::size_t samples = 0;
      for (const auto& [number, count] : waiting_[consumer]) samples += count;
      REQUIRE(fixture_.waiting(consumer) == samples);
      REQUIRE((fixture_.queue->state(consumer).oldest_timestamp_ms != 0) == (samples != 0));
    }
  }

  /// Everything that still waits is handed out, in order, and nothing else.
  void check_and_drain() {
    if (away_.has_value()) mount();
    put_back_all();
    for (std::size_t consumer = 0; consumer < kConsumers; ++consumer) {
      INFO("consumer " << consumer);
      REQUIRE(walk(consumer) == waiting_[consumer]);
      queue::Batch batch;
      while (fixture_.queue->read(consumer, wanted(Lane::all), batch)) ack(consumer, batch);
      REQUIRE(waiting_[consumer].empty());
      REQUIRE_FALSE(fixture_.queue->has_waiting(consumer));
    }
    check_counts();
    round(true);
    REQUIRE(fixture_.queue->state().segments == 0);
    REQUIRE(fixture_.queue->state().damaged_records == 0);
  }

 private:
  static inline const std::vector<std::string> kNames = {"a", "b", "c"};
  struct Held {
    std::size_t consumer;
    queue::Batch batch;
  };

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  queue::Wanted wanted(Lane lane) { return {.lane = lane, .samples_max = 1 + below(40)}; }

  void append() {
    const auto samples = 1 + below(kSeriesMax);
    const auto stream = below(5);
    const auto number = ++appended_;
    if (stream < 3) {
      fixture_.queue->append(scrape_of(number, samples, stream));
    } else {
      fixture_.queue->append(request_of(number, samples, stream));
    }
    for (auto& waiting : waiting_) waiting[number] = samples;
    newest_[stream] = number;
    stream_of_[number] = stream;
    sizes_[number] = samples;
  }

  /// What the consumer waits for and has in none of its batches.
  Numbers free_of(std::size_t consumer) const {
    auto free = waiting_[consumer];
    for (const auto& held : held_) {
      if (held.consumer != consumer) continue;
      for (const auto& [number, samples] : numbers_of(held.batch)) free.erase(number);
    }
    return free;
  }

  bool is_newest(std::int64_t number) const {
    const auto newest = newest_.find(stream_of_.at(number));
    return newest != newest_.end() && newest->second == number;
  }
  /// Read back at a start: whether it is the newest of its stream only the queue can say.
  bool may_be_newest(std::int64_t number) const {
    return number <= at_start_ && !newest_.contains(stream_of_.at(number));
  }

  void check(std::size_t consumer, const queue::Wanted& wanted, const queue::Batch& batch) {
    auto free = free_of(consumer);
    const auto numbers = numbers_of(batch);
    for (const auto& [number, samples] : numbers) {
      INFO("number " << number);
      REQUIRE(free.contains(number));
      REQUIRE(free[number] == samples);
    }
    if (batch.entries().size() > 1) REQUIRE(batch.samples() <= wanted.samples_max);
    const auto last = numbers.empty() ? appended_ : numbers.rbegin()->first;
    if (wanted.lane == Lane::live) {
      for (const auto& entry : batch.entries()) {
        const auto newest = numbers_of(entry).rbegin()->first;
        REQUIRE((is_newest(newest) || may_be_newest(newest)));
      }
      for (const auto& [number, samples] : free) {
        INFO("number " << number);
        if (number <= last && is_newest(number)) REQUIRE(numbers.contains(number));
      }
      return;
    }
    // One after the other, none left out: but for what is of the other lane.
    for (const auto& [number, samples] : free) {
      if (number > last) break;
      INFO("number " << number);
      if (wanted.lane == Lane::all) REQUIRE(numbers.contains(number));
      if (wanted.lane == Lane::all || numbers.contains(number)) continue;
      const bool is_joined = joins_newest(number);
      REQUIRE((is_newest(number) || may_be_newest(number) || is_joined));
    }
  }
  /// Requests of one stream that follow one another may be one entry by now.
  bool joins_newest(std::int64_t number) const {
    const auto stream = stream_of_.at(number);
    if (stream < 3) return false;
    for (auto next = number + 1; next <= appended_; ++next) {
      if (stream_of_.at(next) != stream) return false;
      if (is_newest(next) || may_be_newest(next)) return true;
    }
    return false;
  }

  void read(std::size_t consumer, Lane lane) {
    queue::Batch batch;
    const auto what = wanted(lane);
    const bool got = fixture_.queue->read(consumer, what, batch);
    REQUIRE(got == !batch.empty());
    if (lane == Lane::all) REQUIRE(got == !free_of(consumer).empty());
    check(consumer, what, batch);
    if (got) held_.push_back({consumer, std::move(batch)});
  }

  /// What was read may be acknowledged late and out of order, or be put back.
  void finish_one() {
    if (held_.empty()) return;
    const auto at = below(held_.size());
    auto held = std::move(held_[at]);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(at));
    below(4) == 0 ? put_back(held) : ack(held.consumer, held.batch);
    REQUIRE(held.batch.empty());
  }

  void ack(std::size_t consumer, queue::Batch& batch) {
    for (const auto& [number, samples] : numbers_of(batch)) waiting_[consumer].erase(number);
    fixture_.queue->ack(consumer, batch);
  }

  /// Of what the batch has, a limit may have taken the oldest meanwhile: that is lost now.
  void put_back(Held& held) {
    const auto numbers = numbers_of(held.batch);
    fixture_.queue->release(held.consumer, held.batch);
    auto& told = dropped_[held.consumer];
    const auto now = fixture_.dropped(held.consumer, queue::DropReason::max_size);
    for (auto number = numbers.begin(); told < now; ++number) {
      REQUIRE(number != numbers.end());
      told += number->second;
      waiting_[held.consumer].erase(number->first);
    }
    REQUIRE(told == now);
  }

  void put_back_all() {
    for (auto& held : held_) put_back(held);
    held_.clear();
  }

  /// All that is handed out, without acknowledging anything.
  Numbers walk(std::size_t consumer) {
    Numbers all;
    std::vector<queue::Batch> batches(1);
    while (fixture_.queue->read(consumer, wanted(Lane::all), batches.back())) {
      const auto numbers = numbers_of(batches.back());
      if (!all.empty()) REQUIRE(numbers.begin()->first > all.rbegin()->first);
      all.insert(numbers.begin(), numbers.end());
      batches.emplace_back();
    }
    for (auto& batch : batches) fixture_.queue->release(consumer, batch);
    return all;
  }

  void round(bool everything) {
    fixture_.spiller->round(everything);
    find_drops();
  }

  /// A disk that has no space, or loses what a sync should have made safe, for a while.
  void round_with_fault() {
    switch (below(3)) {
      case 0:
        fixture_.files.fail("/disk", "No space left on device");
        break;
      case 1:
        fixture_.files.fail_syncs(1 + static_cast<int>(below(2)));
        break;
      default: {
        const auto from = fixture_.files.changes() + below(8);
        fixture_.files.fail_between(from, from + 1 + below(3));
      }
    }
    round(true);
    check_counts();
    if (below(2) == 0) append();
    fixture_.files.fail("", "");
    fixture_.files.fail_syncs(0);
    fixture_.files.fail_between(0, 0);
    fixture_.clock.advance(11 * kNsPerSecond);
    append();  // the log may have failed as well: it is written anew
    round(true);
  }

  /// What is in memory is handed out all the same; the rest is there afterwards.
  void read_with_fault(std::size_t consumer) {
    fixture_.files.fail_reads("/disk", "Input/output error");
    queue::Batch batch;
    fixture_.queue->read(consumer, wanted(Lane::all), batch);
    const auto free = free_of(consumer);
    for (const auto& [number, samples] : numbers_of(batch)) {
      REQUIRE(free.contains(number));
      REQUIRE(free.at(number) == samples);
    }
    if (!batch.empty()) held_.push_back({consumer, std::move(batch)});
    fixture_.files.fail_reads("", "");
    fixture_.clock.advance(11 * kNsPerSecond);
    round(true);
  }

  /// A limit takes the oldest: as many samples as it says, of this consumer's. What is held waits
  /// until it is put back.
  void find_drops() {
    for (std::size_t consumer = 0; consumer < kConsumers; ++consumer) {
      INFO("consumer " << consumer);
      auto& told = dropped_[consumer];
      const auto now = fixture_.dropped(consumer, queue::DropReason::max_size);
      const auto free = free_of(consumer);
      for (auto number = free.begin(); told < now; ++number) {
        REQUIRE(number != free.end());
        told += number->second;
        waiting_[consumer].erase(number->first);
      }
      REQUIRE(told == now);
      for (std::size_t reason = 0; reason < queue::kDropReasons; ++reason) {
        if (static_cast<queue::DropReason>(reason) == queue::DropReason::max_size) continue;
        // Numbers that a start without the disk gave to nothing may be told as lost.
        if (late_mounts_ && static_cast<queue::DropReason>(reason) == queue::DropReason::damage)
          continue;
        REQUIRE(fixture_.dropped(consumer, static_cast<queue::DropReason>(reason)) == 0);
      }
    }
  }

  void start() {
    for (auto& dropped : dropped_) dropped = 0;
    newest_.clear();
    at_start_ = appended_;
    fixture_.open(kNames);
    find_drops();
  }

  /// In order or by a crash of the process: the log has what the disk has not. After a power cut the
  /// disk alone counts: with all that was written in an orderly end, but what consumers had may come
  /// again.
  void restart(bool orderly) {
    if (orderly) round(true);
    put_back_all();
    fixture_.close();
    // (Not after a late mount: the numbers between may be counted as lost then, which is told.)
    const bool is_power_cut = orderly && !has_mounted_late_ && below(2) == 0;
    if (is_power_cut) fixture_.files.power_cut({.volatile_folder = "/run"});
    fixture_.clock.advance(kNsPerSecond);
    start();
    for (std::size_t consumer = 0; consumer < kConsumers; ++consumer) {
      INFO("consumer " << consumer << (orderly ? ", orderly" : ", crash"));
      const auto there = walk(consumer);
      if (is_power_cut) {
        for (const auto& [number, samples] : there) REQUIRE(sizes_.at(number) == samples);
        auto missing = waiting_[consumer];
        for (const auto& [number, samples] : there) missing.erase(number);
        REQUIRE(missing.empty());
        waiting_[consumer] = there;
      }
      REQUIRE(there == waiting_[consumer]);
    }
  }

  /// The host boots, and the agent is quicker than the mount of the disk.
  void restart_without_disk() {
    round(true);
    put_back_all();
    fixture_.close();
    fixture_.files.remove_tree("/run");
    fixture_.files.unmount("/disk/buffer");
    fixture_.clock.advance(kNsPerSecond);
    away_.emplace();
    for (std::size_t consumer = 0; consumer < kConsumers; ++consumer) {
      (*away_)[consumer] = std::exchange(waiting_[consumer], {});
    }
    start();
  }

  void mount() {
    has_mounted_late_ = true;
    fixture_.files.mount("/disk/buffer", "disk");
    for (std::size_t consumer = 0; consumer < kConsumers; ++consumer) {
      waiting_[consumer].merge((*away_)[consumer]);
    }
    away_.reset();
    round(true);
  }

  const bool late_mounts_;
  std::mt19937_64 random_;
  QueueFixture fixture_;
  std::int64_t appended_ = 0;
  std::int64_t at_start_ = 0;                   // of this process
  std::map<std::size_t, std::int64_t> newest_;  // by stream, of this process
  std::map<std::int64_t, std::size_t> stream_of_;
  bool has_mounted_late_ = false;
  Numbers sizes_;
  Numbers waiting_[kConsumers];
  std::optional<std::array<Numbers, kConsumers>> away_;  // on a disk that is not mounted
  std::uint64_t dropped_[kConsumers] = {};
  std::vector<Held> held_;
};

void run(std::uint64_t bytes_max, bool late_mounts) {
  for (const auto seed : seeds(60)) {
    INFO("MSP_AGENT_SEED=" << seed);
    World world(seed, bytes_max, late_mounts);
    for (int step = 0; step < 400; ++step) {
      INFO("step " << step);
      world.step();
      world.check_counts();
    }
    world.check_and_drain();
  }
}

}  // namespace

TEST_CASE("the queue is as its model: nothing is lost, all is counted") {
  run(1 << 20, false);
}

TEST_CASE("the queue is as its model where a limit bites: what is lost is counted to the sample") {
  run(kTooLittle, false);
}

TEST_CASE("the queue is as its model with disks that are mounted late") {
  run(1 << 20, true);
}

TEST_CASE("producers, two consumers and the spiller at once: everything arrives, nothing is left",
          "[threads]") {
  constexpr std::int64_t kEach = 700;
  constexpr std::size_t kStreams = 3;  // two of scrapes, one of requests
  MemoryFileSystem files;
  auto opened = queue::Queue::open({.folder = "/disk/buffer",
                                    .wal_folder = "/run/buffer",
                                    .limits = {.free_bytes_min = 0},
                                    .timing = {.spill_after_ns = 0, .rest_ns = 0, .retry_ns = 0},
                                    .files = &files});
  REQUIRE(opened);
  auto& queue = **opened;
  queue::Spiller spiller(queue);
  StopSource stop;

  struct Reader {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_woken = false;
    bool is_last = false;
    std::set<std::int64_t> got;
  } readers[2];
  for (std::size_t consumer = 0; consumer < 2; ++consumer) {
    auto& reader = readers[consumer];
    const auto number = queue.add_consumer(consumer == 0 ? "a" : "b", [&reader] {
      const std::lock_guard lock(reader.mutex);
      reader.is_woken = true;
      reader.changed.notify_one();
    });
    REQUIRE(number == consumer);
  }
  std::vector<std::thread> threads;
  std::thread spilling([&] { spiller.run(stop.token()); });
  for (std::size_t consumer = 0; consumer < 2; ++consumer) {
    threads.emplace_back([&, consumer] {
      auto& reader = readers[consumer];
      queue::Batch live, backlog;
      const auto take = [&](queue::Batch& batch, const queue::Wanted& wanted) {
        if (!queue.read(consumer, wanted, batch)) return false;
        for (const auto& entry : batch.entries()) {
          for (const auto number : content_numbers(entry)) reader.got.insert(number);
        }
        return true;
      };
      std::size_t reads = 0;
      for (bool is_last = false;;) {
        const bool has_live = take(live, {.lane = Lane::live, .samples_max = kMany});
        const bool has_backlog = take(backlog, {.lane = Lane::backlog, .samples_max = 100});
        queue.ack(consumer, backlog);
        // Now and then it did not get there.
        ++reads % 7 == 0 ? queue.release(consumer, live) : queue.ack(consumer, live);
        if (has_live || has_backlog) continue;
        if (is_last && !queue.has_waiting(consumer)) return;
        std::unique_lock lock(reader.mutex);
        if (!is_last) reader.changed.wait(lock, [&] { return reader.is_woken || reader.is_last; });
        reader.is_woken = false;
        is_last = reader.is_last;
      }
    });
  }
  std::vector<std::thread> producers;
  std::mutex turn;
  std::int64_t next = 0;
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    producers.emplace_back([&, stream] {
      for (std::int64_t i = 0; i < kEach; ++i) {
        std::int64_t number = 0;
        {
          const std::lock_guard lock(turn);
          number = ++next;
        }
        stream < 2 ? queue.append(scrape_of(number, 2, stream))
                   : static_cast<void>(queue.append(request_of(number, 2, 3)));
      }
    });
  }
  for (auto& producer : producers) producer.join();
  for (auto& reader : readers) {
    const std::lock_guard lock(reader.mutex);
    reader.is_last = true;
    reader.changed.notify_one();
  }
  for (auto& thread : threads) thread.join();
  stop.request_stop(monotonic_ns() + 60 * kNsPerSecond);
  spilling.join();
  for (std::size_t consumer = 0; consumer < 2; ++consumer) {
    CHECK(queue.state(consumer).samples == 0);
    std::size_t missing = 0;
    for (std::int64_t number = 1; number <= next; ++number) {
      if (!readers[consumer].got.contains(number)) ++missing;
    }
    CHECK(missing == 0);
  }
}

}  // namespace msp
