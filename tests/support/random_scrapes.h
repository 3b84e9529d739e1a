// Scrapes and requests that nobody would write by hand: values of every kind, series that come, go
// and change places, clocks that jump, streams in any order. All of it follows from a seed, which a
// failing test prints; MSP_AGENT_SEED=<seed> runs that one alone.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/metrics/sample.h"
#include "agent/queue/compression.h"
#include "agent/queue/request.h"
#include "agent/queue/scrape_codec.h"

namespace msp::test {

/// The seeds to run a property with.
inline std::vector<std::uint64_t> seeds(std::uint64_t count) {
  if (const char* chosen = std::getenv("MSP_AGENT_SEED")) {
    return {std::strtoull(chosen, nullptr, 10)};
  }
  std::vector<std::uint64_t> all;
  for (std::uint64_t seed = 1; seed <= count; ++seed) all.push_back(seed);
  return all;
}

inline metrics::MetricType type_of(const metrics::Series& series) {
  return series.desc != nullptr ? series.desc->type : metrics::MetricType::untyped;
}

inline bool is_same(const metrics::Scrape& a, const metrics::Scrape& b) {
  return a.timestamp_ms == b.timestamp_ms && queue::name_of(a.stream) == queue::name_of(b.stream) &&
         std::equal(a.series->begin(), a.series->end(), b.series->begin(), b.series->end(),
                    [](const metrics::SeriesPtr& x, const metrics::SeriesPtr& y) {
                      return x->labels == y->labels && type_of(*x) == type_of(*y);
                    }) &&
         std::equal(a.values.begin(), a.values.end(), b.values.begin(), b.values.end(),
                    [](double x, double y) {
                      return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
                    });
}

inline bool is_same(const queue::Request& a, const queue::Request& b) {
  return queue::name_of(a.stream) == queue::name_of(b.stream) && a.samples == b.samples &&
         a.first_timestamp_ms == b.first_timestamp_ms &&
         a.last_timestamp_ms == b.last_timestamp_ms && a.message == b.message;
}

/// What a queue takes: one of the two.
struct Entry {
  std::shared_ptr<const metrics::Scrape> scrape;
  queue::RequestPtr request;
};

inline bool is_same(const queue::ScrapeDecoder::Decoded& decoded, const Entry& entry) {
  if ((decoded.scrape != nullptr) != (entry.scrape != nullptr)) return false;
  if ((decoded.request != nullptr) != (entry.request != nullptr)) return false;
  return entry.scrape ? is_same(*decoded.scrape, *entry.scrape)
                      : is_same(*decoded.request, *entry.request);
}

/// One of each type, and none.
inline const metrics::MetricDesc* family_of_type(std::uint64_t number) {
  static constexpr std::array<metrics::MetricDesc, 5> kFamilies = {
      {{"", "", "", metrics::MetricType::counter},
       {"", "", "", metrics::MetricType::gauge},
       {"", "", "", metrics::MetricType::histogram},
       {"", "", "", metrics::MetricType::summary},
       {"", "", "", metrics::MetricType::untyped}}};
  return number < kFamilies.size() ? &kFamilies[number] : nullptr;
}

class RandomScrapes {
 public:
  struct Chances {
    double churn = 0.1;  // that a tick has other series than the one before
    double odd_time = 0.1;
    double odd_value = 0.05;
    std::size_t series_max = 60;
  };

  explicit RandomScrapes(std::uint64_t seed) : random_(seed) { refill(); }
  RandomScrapes(std::uint64_t seed, Chances chances) : chances_(chances), random_(seed) {
    refill();
  }

  metrics::Scrape next() {
    if (chance(chances_.churn)) churn();
    timestamp_ms_ = next_timestamp();
    metrics::Scrape scrape{timestamp_ms_, set_, {}};
    for (auto& column : columns_) scrape.values.push_back(next_value(column));
    return scrape;
  }

  std::mt19937_64& random() { return random_; }
  bool chance(double probability) {
    return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
  }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

 private:
  struct Column {
    metrics::SeriesPtr series;
    unsigned habit = 0;
    double value = 0;
  };

  Column make_column() {
    std::vector<metrics::Label> labels{{"__name__", "metric_" + std::to_string(made_ % 7)},
                                       {"device", "veth" + std::to_string(made_)},
                                       {"customer_id", "alpha"}};
    ++made_;
    if (chance(0.2))
      labels.push_back({"mountpoint", std::string(below(400), 'x') + "\xe2\x82\xac"});
    return {std::make_shared<const metrics::Series>(
                metrics::Series{metrics::Labels(std::move(labels)), family_of_type(below(8))}),
            static_cast<unsigned>(below(8)), 0};
  }

  void refill() {
    columns_.clear();
    for (auto left = below(chances_.series_max + 1); left > 0; --left) {
      columns_.push_back(make_column());
    }
    publish();
  }

  void publish() {
    auto set = std::make_shared<metrics::SeriesSet>();
    for (const auto& column : columns_) set->push_back(column.series);
    set_ = std::move(set);
  }

  void churn() {
    switch (below(6)) {
      case 0:
        return refill();
      case 1:
        std::shuffle(columns_.begin(), columns_.end(), random_);
        break;
      case 2: {  // the same labels in new objects, as after a reload
        for (auto& column : columns_)
          column.series = std::make_shared<metrics::Series>(*column.series);
        break;
      }
      case 3:
        if (!columns_.empty()) {
          const auto from = static_cast<std::ptrdiff_t>(below(columns_.size()));
          columns_.erase(
              columns_.begin() + from,
              columns_.begin() + from +
                  std::min<std::ptrdiff_t>(5, static_cast<std::ptrdiff_t>(columns_.size()) - from));
        }
        break;
      default: {
        const auto place = static_cast<std::ptrdiff_t>(below(columns_.size() + 1));
        columns_.insert(columns_.begin() + place, make_column());
      }
    }
    publish();
  }

  std::int64_t next_timestamp() {
    using Limits = std::numeric_limits<std::int64_t>;
    if (!chance(chances_.odd_time)) {
      const auto step = 15'000 + below(3) - 1;
      return static_cast<std::int64_t>(static_cast<std::uint64_t>(timestamp_ms_) + step);
    }
    const std::array odd = {std::int64_t{0},       Limits::min(),
                            Limits::max(),         std::int64_t{-1},
                            timestamp_ms_,         timestamp_ms_ / 2,
                            -(timestamp_ms_ / 3),  static_cast<std::int64_t>(random_()),
                            std::int64_t{1} << 41, std::int64_t{1'790'000'000'000}};
    return odd[below(odd.size())];
  }

  double odd_value() {
    using Limits = std::numeric_limits<double>;
    constexpr double kTwo53 = 9007199254740992;
    const std::array odd = {metrics::stale_marker(),
                            Limits::quiet_NaN(),
                            -Limits::quiet_NaN(),
                            std::bit_cast<double>(0x7ff8dead'beef0001),
                            std::bit_cast<double>(0xfff0000000000001),
                            Limits::infinity(),
                            -Limits::infinity(),
                            -0.0,
                            0.0,
                            Limits::denorm_min(),
                            -Limits::denorm_min(),
                            Limits::min() / 3,
                            kTwo53,
                            kTwo53 - 1,
                            kTwo53 + 2,
                            -kTwo53,
                            -kTwo53 - 2,
                            1e308,
                            -1e308,
                            Limits::max(),
                            Limits::lowest(),
                            static_cast<double>(std::numeric_limits<std::int64_t>::max()),
                            static_cast<double>(std::numeric_limits<std::int64_t>::min()),
                            0x1p50,
                            0x1p50 + 1,
                            0x1p62,
                            1.0 / 3,
                            0.1,
                            1e-9,
                            1e-10,
                            1125899.906842625,
                            4096.0 * (1 << 20),
                            512.0 * 1000001,
                            1024.0 * 777777};
    if (chance(0.3)) return std::bit_cast<double>(random_());
    return odd[below(odd.size())];
  }

  double next_value(Column& column) {
    if (chance(chances_.odd_value)) return column.value = odd_value();
    if (!std::isfinite(column.value) || std::fabs(column.value) > 1e15) column.value = 0;
    switch (column.habit) {
      case 0:
        return column.value;  // does not change
      case 1:
        return column.value += 37;  // a steady counter
      case 2:
        if (chance(0.03)) return column.value = 0;  // a reset
        return column.value += static_cast<double>(below(1 << below(30)));
      case 3:
        return column.value = static_cast<double>(below(4'000'000)) / 100;
      case 4:
        return column.value = static_cast<double>(below(4'000'000)) / 1e9;
      case 5:
        return column.value = 4096.0 * static_cast<double>(below(1 << 24));
      case 6:
        return column.value += std::uniform_real_distribution<double>(-1, 1)(random_);
      default:
        return column.value = static_cast<double>(below(100)) - 50;
    }
  }

  Chances chances_;
  std::mt19937_64 random_;
  std::uint64_t made_ = 0;
  std::int64_t timestamp_ms_ = 1'790'000'000'000;
  std::vector<Column> columns_;
  std::shared_ptr<const metrics::SeriesSet> set_;
};

/// The scrapes of several streams, and requests, in random order.
class RandomEntries {
 public:
  RandomEntries(std::uint64_t seed, std::size_t streams, RandomScrapes::Chances chances,
                double requests = 0.1)
      : random_(seed, {}), requests_(requests) {
    for (std::size_t i = 0; i < streams; ++i) {
      sources_.emplace_back(seed * 1000 + i, chances);
      streams_.push_back(i == 0 ? nullptr
                                : std::make_shared<const metrics::Stream>(
                                      metrics::Stream{"s" + std::to_string(i)}));
    }
  }

  Entry next() {
    if (random_.chance(requests_))
      return {nullptr, std::make_shared<const queue::Request>(request())};
    const auto which = random_.below(sources_.size());
    auto scrape = sources_[which].next();
    scrape.stream = streams_[which];
    return {std::make_shared<const metrics::Scrape>(std::move(scrape)), nullptr};
  }

  queue::Request request() {
    queue::Request request{streams_[random_.below(streams_.size())],
                           0,
                           static_cast<std::int64_t>(random_.random()()),
                           static_cast<std::int64_t>(random_.random()()),
                           {}};
    std::size_t size = 0;
    for (auto frames = 1 + random_.below(3); frames > 0; --frames) {
      std::string content;
      for (auto left = random_.below(60); left > 0; --left) {
        content.append(1 + random_.below(20), static_cast<char>(random_.random()()));
      }
      std::string frame;
      if (!queue::compress_frame(content, frame)) std::abort();
      request.message += frame;
      size += content.size();
    }
    request.samples = random_.below(size + 1);
    return request;
  }

  RandomScrapes& random() { return random_; }

 private:
  RandomScrapes random_;
  double requests_;
  std::vector<RandomScrapes> sources_;
  std::vector<metrics::StreamPtr> streams_;
};

}  // namespace msp::test
