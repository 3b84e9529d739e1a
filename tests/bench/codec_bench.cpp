// Bytes per sample and CPU time of the disk queue's format, for a small and a large host
// (host_model.h), for several sources in turns and for series that come and go. Prints a table;
// exits 1 where a sample costs more than the figures at the top of this file.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "agent/queue/record_scanner.h"
#include "agent/queue/scrape_codec.h"
#include "tests/bench/host_model.h"

namespace msp::bench {
namespace {

constexpr double kBytesPerSampleMax = 1.1;
constexpr double kInTurnsMax = 1.15;  // times what the same sources cost alone
constexpr double kChurnMax = 1.3;     // times what the same series cost when none comes or goes
constexpr std::size_t kSegmentBytes = 1 << 20;
constexpr int kRepeats = 5;  // the fastest counts: the others shared the caches

/// Of the processor, so that a busy machine does not matter.
double seconds(const std::function<void()>& work) {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  };
  double best = 1e9;
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = now();
    work();
    best = std::min(best, now() - start);
  }
  return best;
}

/// Segments of about 1 MiB each, as the queue writes them.
std::vector<std::string> encode(const std::vector<metrics::Scrape>& scrapes, bool keyframes_only) {
  std::vector<std::string> segments(1);
  queue::ScrapeEncoder encoder;
  encoder.set_keyframes_only(keyframes_only);
  std::uint64_t sequence = 1;
  for (const auto& scrape : scrapes) {
    if (segments.back().size() > kSegmentBytes) {
      segments.emplace_back();
      encoder.restart();
    }
    if (const auto done = encoder.encode(sequence++, scrape, segments.back()); !done) {
      std::fprintf(stderr, "%s\n", done.error().text.c_str());
      std::exit(1);
    }
  }
  return segments;
}

std::size_t size_of(const std::vector<std::string>& segments) {
  std::size_t bytes = 0;
  for (const auto& segment : segments) bytes += segment.size();
  return bytes;
}

std::size_t decode(const std::vector<std::string>& segments) {
  std::size_t samples = 0;
  queue::ScrapeDecoder decoder;
  for (const auto& segment : segments) {
    queue::RecordScanner scanner(segment);
    while (const auto record = scanner.next()) {
      queue::ScrapeDecoder::Decoded decoded;
      if (decoder.feed(*record, &decoded) == queue::ScrapeDecoder::Outcome::scrape) {
        samples += decoded.scrape->values.size();
      }
    }
  }
  return samples;
}

/// Bytes per value of the columns of one sort alone: keyframes and deltas, no records or labels.
void split(const HostModel& host, const std::vector<metrics::Scrape>& scrapes, const char* name,
           const std::function<bool(const HostModel::Column&)>& wanted) {
  std::vector<std::size_t> columns;
  for (std::size_t i = 0; i < host.columns().size(); ++i) {
    if (wanted(host.columns()[i])) columns.push_back(i);
  }
  std::vector<queue::SeriesState> states(columns.size());
  std::vector<double> values(columns.size());
  std::vector<char> out(queue::changes_room(columns.size()));
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < scrapes.size(); ++i) {
    for (std::size_t c = 0; c < columns.size(); ++c) values[c] = scrapes[i].values[columns[c]];
    const auto write =
        i % queue::kKeyframeEvery == 0 ? queue::write_absolute : queue::write_changes;
    bytes += static_cast<std::size_t>(write(values, states, out.data()) - out.data());
  }
  std::printf("    %-22s %5zu series %8.2f B/sample\n", name, columns.size(),
              static_cast<double>(bytes) / static_cast<double>(columns.size() * scrapes.size()));
}

bool run(const char* name, HostModel::Size size, int ticks) {
  HostModel host(size);
  std::vector<metrics::Scrape> scrapes;
  for (int i = 0; i < ticks; ++i) scrapes.push_back(host.tick());
  const auto per_scrape = scrapes[0].values.size();
  const auto samples = static_cast<double>(per_scrape) * ticks;

  const auto segments = encode(scrapes, false);
  const auto bytes = static_cast<double>(size_of(segments));
  std::string dictionary;
  queue::ScrapeEncoder first;
  if (!first.encode(1, scrapes[0], dictionary)) return false;
  std::size_t decoded = 0;
  const auto encode_s = seconds([&] { encode(scrapes, false); });
  const auto decode_s = seconds([&] { decoded = decode(segments); });
  std::printf("%s: %zu series, %d scrapes of 15 s\n", name, per_scrape, ticks);
  std::printf("    everything %23.2f B/sample    first scrape with dictionary %zu B\n",
              bytes / samples, dictionary.size());
  std::printf("    keyframes only %19.2f B/sample\n",
              static_cast<double>(size_of(encode(scrapes, true))) / samples);
  for (const auto form : {Form::counter, Form::gauge}) {
    for (const auto digits : {Digits::integers, Digits::floats}) {
      const auto label = std::string(form == Form::counter ? "counters" : "gauges") +
                         (digits == Digits::integers ? ", integers" : ", floats");
      split(host, scrapes, label.c_str(), [&](const HostModel::Column& column) {
        return column.form == form && column.digits == digits;
      });
    }
  }
  std::printf("    encode %.1f M samples/s, %.2f us a scrape; decode %.1f M samples/s\n",
              samples / encode_s / 1e6, encode_s / ticks * 1e6, samples / decode_s / 1e6);
  return static_cast<double>(decoded) == samples && bytes / samples <= kBytesPerSampleMax;
}

metrics::SeriesPtr one(const std::string& name, int id) {
  return std::make_shared<const metrics::Series>(
      metrics::Series{metrics::Labels({{"__name__", name},
                                       {"customer_id", "alpha"},
                                       {"server_name", "web-01"},
                                       {"instance", "web-01.alpha.example.com"},
                                       {"job", "node"},
                                       {"region", "ap-northeast-2"},
                                       {"id", std::to_string(id)}}),
                      nullptr});
}

/// 300 counters, each of which grows by 0 to 49 a tick.
class Exporter {
 public:
  Exporter() {
    auto set = std::make_shared<metrics::SeriesSet>();
    for (int i = 0; i < 300; ++i) set->push_back(one("mysql_global_status", i));
    set_ = std::move(set);
  }

  metrics::Scrape tick(std::int64_t timestamp_ms) {
    for (auto& value : values_) value += static_cast<double>(random_() % 50);
    return {timestamp_ms, set_, values_, stream_};
  }

 private:
  std::mt19937_64 random_{1};
  std::shared_ptr<const metrics::SeriesSet> set_;
  std::vector<double> values_ = std::vector<double>(300, 1000);
  metrics::StreamPtr stream_ =
      std::make_shared<const metrics::Stream>(metrics::Stream{"mysqld/127.0.0.1:9104"});
};

/// What tests/bench/host_model.h has and 20 processes, of which `churn` says whether one comes and
/// one goes at each tick.
class HostWithProcesses {
 public:
  explicit HostWithProcesses(bool churn) : churn_(churn) {
    for (; next_id_ < 20; ++next_id_) processes_.push_back(one("proc_cpu_seconds_total", next_id_));
  }

  metrics::Scrape tick() {
    auto scrape = host_.tick();
    if (churn_ || set_ == nullptr) {
      processes_.erase(processes_.begin());
      processes_.push_back(one("proc_cpu_seconds_total", ++next_id_));
      auto set = std::make_shared<metrics::SeriesSet>(*scrape.series);
      set->insert(set->end(), processes_.begin(), processes_.end());
      set_ = std::move(set);
    }
    scrape.series = set_;
    scrape.values.insert(scrape.values.end(), processes_.size(), ++value_);
    return scrape;
  }

 private:
  const bool churn_;
  HostModel host_{{4, 2, 2, 4}};
  std::vector<metrics::SeriesPtr> processes_;
  std::shared_ptr<const metrics::SeriesSet> set_;
  int next_id_ = 0;
  double value_ = 0;
};

double per_sample(const std::vector<metrics::Scrape>& scrapes) {
  std::size_t samples = 0;
  for (const auto& scrape : scrapes) samples += scrape.values.size();
  return static_cast<double>(size_of(encode(scrapes, false))) / static_cast<double>(samples);
}

double microseconds_per_scrape(const std::vector<metrics::Scrape>& scrapes) {
  return seconds([&] { encode(scrapes, false); }) / static_cast<double>(scrapes.size()) * 1e6;
}

/// The host and an exporter, alone and in turns.
bool run_in_turns(int ticks) {
  HostModel host({4, 2, 2, 4});
  Exporter exporter;
  std::vector<metrics::Scrape> hosts;
  std::vector<metrics::Scrape> exporters;
  std::vector<metrics::Scrape> both;
  for (int i = 0; i < ticks; ++i) {
    hosts.push_back(host.tick());
    exporters.push_back(exporter.tick(hosts.back().timestamp_ms + 3000));
    both.push_back(hosts.back());
    both.push_back(exporters.back());
  }
  const auto samples = [](const std::vector<metrics::Scrape>& scrapes) {
    return static_cast<double>(scrapes.size() * scrapes[0].values.size());
  };
  const auto alone =
      (per_sample(hosts) * samples(hosts) + per_sample(exporters) * samples(exporters)) /
      (samples(hosts) + samples(exporters));
  const auto in_turns = per_sample(both);
  std::printf("the host and an exporter of 300 series, %d scrapes each\n", ticks);
  std::printf("    each alone %21.2f B/sample\n", alone);
  std::printf("    in turns %23.2f B/sample    encode %.2f us a scrape\n", in_turns,
              microseconds_per_scrape(both));
  return in_turns <= kInTurnsMax * alone;
}

bool run_churn(int ticks) {
  const auto scrapes = [&](bool churn) {
    HostWithProcesses host(churn);
    std::vector<metrics::Scrape> all;
    for (int i = 0; i < ticks; ++i) all.push_back(host.tick());
    return all;
  };
  const auto quiet = scrapes(false);
  const auto lively = scrapes(true);
  std::printf("the host and 20 processes, %d scrapes\n", ticks);
  std::printf("    always the same %16.2f B/sample    encode %.2f us a scrape\n", per_sample(quiet),
              microseconds_per_scrape(quiet));
  std::printf("    one comes, one goes %12.2f B/sample    encode %.2f us a scrape\n",
              per_sample(lively), microseconds_per_scrape(lively));
  return per_sample(lively) <= kChurnMax * per_sample(quiet);
}

}  // namespace
}  // namespace msp::bench

int main() {
  using msp::bench::run;
  bool good = run("host", {4, 2, 2, 4}, 5760);                // a day
  good = run("large host", {64, 24, 200, 60}, 1000) && good;  // four hours
  good = msp::bench::run_in_turns(960) && good;
  good = msp::bench::run_churn(960) && good;
  return good ? 0 : 1;
}
