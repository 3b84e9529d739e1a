// The buffer against the simplest model of it: for each endpoint, the set of scrapes that it still
// has to get. Whatever is appended, peeked in either lane, acknowledged in whatever order, dropped
// by a limit or interrupted by a restart: no sample is lost or miscounted.
#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/buffer_fixture.h"
#include "tests/support/random_scrapes.h"

namespace msp {
namespace {

using namespace test;

constexpr std::size_t kEndpoints = 3;
constexpr std::size_t kSeriesMax = 4;
constexpr std::uint64_t kTooLittle = 8 * 600;

std::shared_ptr<const SeriesSet> set_of(std::size_t series) {
  static const auto sets = [] {
    std::vector<std::shared_ptr<const SeriesSet>> sets;
    std::vector<std::string> names;
    for (std::size_t i = 0; i <= kSeriesMax; ++i) {
      sets.push_back(series_set(names));
      names.push_back("metric_" + std::to_string(i));
    }
    return sets;
  }();
  return sets[series];
}

class World {
 public:
  World(std::uint64_t seed, std::uint64_t bytes_max) : random_(seed) {
    with_.endpoints = {"a", "b", "c"};
    with_.limits.bytes_max = bytes_max;
    buffer_ = open(with_);
  }

  void step() {
    const auto endpoint = below(kEndpoints);
    switch (below(16)) {
      default:
        return append();
      case 0:
      case 1:
      case 2:
        return peek(endpoint, below(3) == 0 ? below(next_sequence_guess()) : 0);
      case 3:
      case 4:
        return peek_newest(endpoint);
      case 5:
      case 6:
        return ack_one_of_many();
      case 7:
      case 8:
        buffer_->disk_round(kNow);
        return find_drops();
      case 9:
        if (below(4) == 0) return restart(below(2) == 0);
    }
  }

  /// Everything that still waits is handed out, in order, and nothing else.
  void check_and_drain() {
    for (std::size_t endpoint = 0; endpoint < kEndpoints; ++endpoint) {
      INFO("endpoint " << endpoint);
      REQUIRE(walk(endpoint) == waiting_[endpoint]);
      Batch batch;
      while (buffer_->peek(endpoint, 1 + below(30), batch)) {
        check(endpoint, batch);
        ack(endpoint, batch);
      }
      REQUIRE(waiting_[endpoint].empty());
      REQUIRE(buffer_->state(endpoint).samples == 0);
      REQUIRE(buffer_->state(endpoint).oldest_timestamp_ms == 0);
    }
    REQUIRE(buffer_->state().damaged_records == 0);
  }

  void check_counts() const {
    for (std::size_t endpoint = 0; endpoint < kEndpoints; ++endpoint) {
      INFO("endpoint " << endpoint);
      std::size_t samples = 0;
      for (const auto& [number, count] : waiting_[endpoint]) samples += count;
      REQUIRE(buffer_->state(endpoint).samples == samples);
    }
  }

 private:
  /// Number of a scrape (its timestamp) -> its samples.
  using Scrapes = std::map<std::int64_t, std::size_t>;
  struct Peeked {
    std::size_t endpoint;
    Batch batch;
  };

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  std::uint64_t next_sequence_guess() const { return static_cast<std::uint64_t>(appended_) + 2; }

  void append() {
    const auto series = 1 + below(kSeriesMax);
    const auto number = ++appended_;
    buffer_->append(scrape(number, set_of(series), values_of(number, series)));
    for (auto& waiting : waiting_) waiting[number] = series;
    sizes_[number] = series;
  }

  static std::vector<double> values_of(std::int64_t number, std::size_t series) {
    std::vector<double> values;
    for (std::size_t i = 0; i < series; ++i) {
      values.push_back(static_cast<double>(number * 10) + static_cast<double>(i));
    }
    return values;
  }

  void peek(std::size_t endpoint, std::uint64_t from) {
    Batch batch;
    const bool got = buffer_->peek(endpoint, 1 + below(30), batch, from);
    REQUIRE(got == !batch.empty());
    if (from == 0) REQUIRE(got == !waiting_[endpoint].empty());
    if (!got) return;
    check(endpoint, batch);
    for (const auto sequence : batch.sequences()) REQUIRE(sequence >= from);
    if (from == 0) REQUIRE(numbers_of(batch).begin()->first == waiting_[endpoint].begin()->first);
    peeked_.push_back({endpoint, std::move(batch)});
  }

  void peek_newest(std::size_t endpoint) {
    Batch batch;
    const bool got = buffer_->peek_newest(endpoint, batch);
    REQUIRE(got == buffer_->wait_newest(endpoint, 0));
    const bool waits = waiting_[endpoint].contains(appended_);
    if (got) REQUIRE(waits);
    if (waits && !restarted_) REQUIRE(got);
    if (!got) return;
    check(endpoint, batch);
    REQUIRE(batch.sequences().size() == 1);
    peeked_.push_back({endpoint, std::move(batch)});
  }

  /// What was peeked may be acknowledged late, out of order, twice or never.
  void ack_one_of_many() {
    if (peeked_.empty()) return;
    const auto at = below(peeked_.size());
    ack(peeked_[at].endpoint, peeked_[at].batch);
    if (below(8) != 0) peeked_.erase(peeked_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void ack(std::size_t endpoint, Batch& batch) {
    for (const auto& [number, count] : numbers_of(batch)) waiting_[endpoint].erase(number);
    buffer_->ack(endpoint, batch);
  }

  static Scrapes numbers_of(Batch& batch) {
    Scrapes numbers;
    for (const auto& row : batch.rows()) {
      for (const auto& point : batch.points(row)) ++numbers[point.timestamp_ms];
    }
    return numbers;
  }

  /// What is handed out waits, is whole and as it went in; one scrape after the other, none left
  /// out.
  void check(std::size_t endpoint, Batch& batch) const {
    const auto numbers = numbers_of(batch);
    auto expected = waiting_[endpoint].find(numbers.begin()->first);
    for (const auto& [number, count] : numbers) {
      INFO("scrape " << number);
      REQUIRE(expected != waiting_[endpoint].end());
      REQUIRE(expected->first == number);
      REQUIRE(expected->second == count);
      ++expected;
    }
    for (const auto& row : batch.rows()) {
      for (const auto& point : batch.points(row)) {
        const auto name = std::string(row.series->labels.get("__name__"));
        REQUIRE(point.value ==
                static_cast<double>(point.timestamp_ms * 10) + std::stod(name.substr(7)));
      }
    }
  }

  /// All that waits, without acknowledging anything.
  Scrapes walk(std::size_t endpoint) {
    Scrapes all;
    Batch batch;
    for (std::uint64_t from = 0; buffer_->peek(endpoint, 1 + below(30), batch, from);
         from = batch.last_sequence() + 1) {
      const auto numbers = numbers_of(batch);
      if (!all.empty()) REQUIRE(numbers.begin()->first > all.rbegin()->first);
      all.insert(numbers.begin(), numbers.end());
    }
    return all;
  }

  /// A limit takes the oldest: as many samples as it says, of this endpoint's.
  void find_drops() {
    for (std::size_t endpoint = 0; endpoint < kEndpoints; ++endpoint) {
      auto& waiting = waiting_[endpoint];
      auto& told = dropped_[endpoint];
      const auto now = dropped(*buffer_, endpoint, DropReason::max_size);
      for (; told < now; waiting.erase(waiting.begin())) {
        REQUIRE_FALSE(waiting.empty());
        told += waiting.begin()->second;
      }
      REQUIRE(told == now);
    }
  }

  /// An orderly one forgets nothing; after a crash an endpoint may get again what it has, nothing
  /// less.
  void restart(bool orderly) {
    if (orderly) buffer_->disk_round(kNow);
    find_drops();
    buffer_.reset();
    buffer_ = open(with_);
    peeked_.clear();
    restarted_ = true;
    for (std::size_t endpoint = 0; endpoint < kEndpoints; ++endpoint) {
      INFO("endpoint " << endpoint);
      dropped_[endpoint] = 0;
      const auto there = walk(endpoint);
      for (const auto& scrape : waiting_[endpoint]) {
        REQUIRE(there.contains(scrape.first));
      }
      for (const auto& [number, count] : there) REQUIRE(sizes_.at(number) == count);
      if (orderly) REQUIRE(there == waiting_[endpoint]);
      waiting_[endpoint] = there;
    }
  }

  std::mt19937_64 random_;
  MemoryFileSystem files_;
  Buffer::Options with_ = options(files_);
  std::unique_ptr<Buffer> buffer_;
  std::int64_t appended_ = 0;
  bool restarted_ = false;
  Scrapes sizes_;
  Scrapes waiting_[kEndpoints];
  std::uint64_t dropped_[kEndpoints] = {};
  std::vector<Peeked> peeked_;
};

void run(std::uint64_t bytes_max) {
  for (const auto seed : seeds(60)) {
    INFO("MSP_AGENT_SEED=" << seed);
    World world(seed, bytes_max);
    for (int step = 0; step < 400; ++step) {
      INFO("step " << step);
      world.step();
      world.check_counts();
    }
    world.check_and_drain();
  }
}

}  // namespace

TEST_CASE("the buffer is as its model: nothing is lost, all is counted") {
  run(1 << 20);
}

TEST_CASE("the buffer is as its model where a limit bites: what is lost is counted to the sample") {
  run(kTooLittle);
}

TEST_CASE("two lanes, a disk thread and a tick at once: each scrape arrives, none is left over",
          "[threads]") {
  constexpr int kScrapes = 2000;
  MemoryFileSystem files;
  auto with = options(files, {"a", "b"});
  with.timing = {.spill_after_ns = 0, .rest_ns = 0, .retry_ns = 0};
  auto buffer = open(with);
  std::thread disk([&] { buffer->run_disk(); });
  struct Got {
    std::set<std::int64_t> backlog, fresh;
  } got[2];
  std::vector<std::thread> lanes;
  for (const std::size_t endpoint : {0, 1}) {
    const auto keep = [](std::set<std::int64_t>& all, Batch& batch) {
      for (const auto time : times_of(batch)) all.insert(time);
    };
    lanes.emplace_back([&, keep, endpoint] {
      Batch batch;
      for (bool stopped = false; !stopped;) {
        stopped = !buffer->wait_newest(endpoint, kNow);
        if (!buffer->peek_newest(endpoint, batch)) continue;
        keep(got[endpoint].fresh, batch);
        buffer->ack(endpoint, batch);
      }
    });
    lanes.emplace_back([&, keep, endpoint] {
      Batch batch;
      while (got[endpoint].backlog.size() + 1 < kScrapes) {
        buffer->wait(endpoint);
        if (!buffer->peek(endpoint, 20, batch)) break;
        keep(got[endpoint].backlog, batch);
        buffer->ack(endpoint, batch);
      }
    });
  }
  for (int t = 1; t <= kScrapes; ++t) buffer->append(scrape(t, kSet, {1, 2}));
  buffer->stop();
  for (auto& lane : lanes) lane.join();
  CHECK(buffer->close(kNow));
  disk.join();
  for (const std::size_t endpoint : {0, 1}) {
    auto all = got[endpoint].backlog;
    all.merge(got[endpoint].fresh);
    for (Batch batch; buffer->peek(endpoint, 1000, batch); buffer->ack(endpoint, batch)) {
      for (const auto time : times_of(batch)) all.insert(time);
    }
    CHECK(all.size() == kScrapes);
    CHECK(buffer->state(endpoint).samples == 0);
  }
}

}  // namespace msp
