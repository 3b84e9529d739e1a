// Bytes per sample and speed of the disk queue's format, on one core, for a small and a large host
// (host_model.h). Prints a table; exits 1 where a sample costs more than 2 bytes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "agent/queue/record_scanner.h"
#include "agent/queue/scrape_codec.h"
#include "tests/bench/host_model.h"

namespace msp::bench {
namespace {

constexpr double kBytesPerSampleMax = 2;
constexpr std::size_t kSegmentBytes = 1 << 20;
constexpr int kRepeats = 5;  // the fastest counts: the others shared the core

double seconds(const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// Segments of about 1 MiB each, as the queue writes them.
std::vector<std::string> encode(const std::vector<Scrape>& scrapes, bool keyframes_only) {
  std::vector<std::string> segments(1);
  ScrapeEncoder encoder;
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
  ScrapeDecoder decoder;
  for (const auto& segment : segments) {
    RecordScanner scanner(segment);
    while (const auto record = scanner.next()) {
      ScrapeDecoder::Decoded decoded;
      if (decoder.feed(*record, &decoded) == ScrapeDecoder::Outcome::scrape) {
        samples += decoded.scrape->values.size();
      }
    }
  }
  return samples;
}

/// Bytes per value of the columns of one sort alone: keyframes and deltas, no records or labels.
void split(const HostModel& host, const std::vector<Scrape>& scrapes, const char* name,
           const std::function<bool(const HostModel::Column&)>& wanted) {
  std::vector<std::size_t> columns;
  for (std::size_t i = 0; i < host.columns().size(); ++i) {
    if (wanted(host.columns()[i])) columns.push_back(i);
  }
  std::vector<SeriesState> states(columns.size());
  std::vector<double> values(columns.size());
  std::vector<char> out(changes_room(columns.size()));
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < scrapes.size(); ++i) {
    for (std::size_t c = 0; c < columns.size(); ++c) values[c] = scrapes[i].values[columns[c]];
    const auto write = i % kKeyframeEvery == 0 ? write_absolute : write_changes;
    bytes += static_cast<std::size_t>(write(values, states, out.data()) - out.data());
  }
  std::printf("    %-22s %5zu series %8.2f B/sample\n", name, columns.size(),
              static_cast<double>(bytes) / static_cast<double>(columns.size() * scrapes.size()));
}

bool run(const char* name, HostModel::Size size, int ticks) {
  HostModel host(size);
  std::vector<Scrape> scrapes;
  for (int i = 0; i < ticks; ++i) scrapes.push_back(host.tick());
  const auto per_scrape = scrapes[0].values.size();
  const auto samples = static_cast<double>(per_scrape) * ticks;

  const auto segments = encode(scrapes, false);
  const auto bytes = static_cast<double>(size_of(segments));
  std::string dictionary;
  ScrapeEncoder first;
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

}  // namespace
}  // namespace msp::bench

int main() {
  using msp::bench::run;
  const bool small = run("host", {4, 2, 2, 4}, 5760);             // a day
  const bool large = run("large host", {64, 24, 200, 60}, 1000);  // four hours
  return small && large ? 0 : 1;
}
