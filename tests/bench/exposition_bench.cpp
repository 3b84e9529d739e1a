// What a scrape costs beside the network: a text of 10,000 series is parsed and taken, when all of
// them are new and when all are known. Prints CPU times; needs a release build.
//
//   exposition_bench [file]     a text of another exporter; without one, 10,000 series of histograms
//
// To compare with Prometheus' and vmagent's parsers, where a Go toolchain is at hand: write the text
// with `exposition_bench --write FILE` and give it to textparse.NewPromParser and to
// parser.UnmarshalText in a loop.
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/metrics/exposition_parser.h"

namespace msp::bench {
namespace {

constexpr int kRounds = 200;

/// On a busy host, too, it is what the work takes.
std::int64_t cpu_ns() {
  return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

std::string text_of_10000_series() {
  std::string text = "# HELP rpc_seconds Time that a call took.\n# TYPE rpc_seconds histogram\n";
  for (int method = 0; method < 1000; ++method) {
    const auto labels = cat("method=\"/orders.Service/Method", method, "\",code=\"OK\"");
    for (const std::string_view le : {"0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "+Inf"}) {
      text += cat("rpc_seconds_bucket{", labels, ",le=\"", le, "\"} ", method * 17, "\n");
    }
    text += cat("rpc_seconds_sum{", labels, "} ", method * 0.37, "\n");
    text += cat("rpc_seconds_count{", labels, "} ", method * 17, "\n");
  }
  return text;
}

struct Target {
  metrics::ScrapeBuilder builder{metrics::SeriesRules{
      .labels = {{{"customer_id", "alpha"}}, {{"job", "j"}}}, .series_max = 1'000'000}};
  metrics::SeriesWriter& writer = builder.add_writer();

  std::size_t scrape(std::string_view text) {
    builder.begin(writer);
    metrics::ExpositionParser parser(text);
    parser.add_all(writer, [](auto&) {});
    static_cast<void>(builder.commit(writer));
    return builder.finish(0).values.size();
  }
};

void print(const char* name, std::int64_t took_ns, std::size_t samples, std::size_t bytes) {
  const auto ns = static_cast<double>(took_ns);
  std::printf("%-22s %8.3f ms   %6.1f ns per sample   %7.1f MB/s\n", name, ns / 1e6,
              ns / static_cast<double>(samples), static_cast<double>(bytes) * 1e3 / ns);
}

int run(const std::string& text) {
  std::size_t samples = 0;
  auto begin_ns = cpu_ns();
  for (int i = 0; i < kRounds; ++i) {
    metrics::ExpositionParser parser(text);
    samples = 0;
    while (parser.next()) ++samples;
  }
  std::printf("%zu samples, %zu bytes, mean of %d rounds\n", samples, text.size(), kRounds);
  print("parsed", (cpu_ns() - begin_ns) / kRounds, samples, text.size());
  Target known;
  begin_ns = cpu_ns();
  known.scrape(text);
  print("taken, all new", cpu_ns() - begin_ns, samples, text.size());
  begin_ns = cpu_ns();
  for (int i = 0; i < kRounds; ++i) known.scrape(text);
  print("taken, all known", (cpu_ns() - begin_ns) / kRounds, samples, text.size());
  return samples == 0 ? 1 : 0;
}

}  // namespace
}  // namespace msp::bench

int main(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (first == "--write" && argc > 2) {
    std::ofstream(argv[2]) << msp::bench::text_of_10000_series();
    return 0;
  }
  if (first.empty()) return msp::bench::run(msp::bench::text_of_10000_series());
  std::ifstream file(first, std::ios::binary);
  return msp::bench::run({std::istreambuf_iterator<char>(file), {}});
}
