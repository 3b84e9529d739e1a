// What a sample costs on the wire, for each protocol: bytes, CPU and the encoder's memory; live
// (one scrape per request), with send_every of four intervals (four scrapes per request) and in
// catch-up (a request that names each series once and gives it many samples).
//
//   wire_bench            model hosts (host_model.h), a small one and one with 4 CPUs: busy, with 6
//                         target labels
//   wire_bench --live N   N scrapes of this very host, a second apart, stamped 15 s apart, with
//                         every collector that is on by default
//
// CPU time is that of the thread: what encode() takes, batch and buffer not included. Memory is
// what the process grows by at most while a request is encoded, pages touched and not given back,
// and what the batch itself takes. Fails where a model host misses a target.
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/delivery/encode/encode.h"
#include "agent/queue/batch.h"
#include "agent/run/self_metrics.h"
#include "agent/sources/host.h"
#include "tests/bench/host_model.h"

namespace msp::bench {
namespace {

using Scrapes = std::vector<std::shared_ptr<const metrics::Scrape>>;

constexpr double kLiveBytesMax = 14;
constexpr double kFourScrapesBytesMax = 6;
constexpr double kCatchUpBytesMax = 2.5;
constexpr std::size_t kRequestSizes[] = {10'000, 25'000, 50'000, 100'000};

struct Protocol {
  delivery::Wire wire;
  const char* name;
};
constexpr Protocol kProtocols[] = {{delivery::Wire::victoriametrics, "victoriametrics"},
                                   {delivery::Wire::prometheus_1_0, "prometheus-1.0"},
                                   {delivery::Wire::prometheus_2_0, "prometheus-2.0"}};

struct Cost {
  double samples = 0, raw_bytes = 0, body_bytes = 0, requests = 0, nanoseconds = 0;
  double peak_kib = 0;
};

/// VmRSS or VmHWM, in KiB.
double memory_kib(const std::string& what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(what)) return std::atof(line.c_str() + what.size() + 1);
  }
  return 0;
}

/// What `work` grows the process by at most.
template <typename Work>
double growth_kib(const Work& work) {
  ::malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  const auto before = memory_kib("VmRSS");
  work();
  return memory_kib("VmHWM") - before;
}

void encode_all(delivery::Encoder& encoder, queue::Batch& batch, delivery::Wire wire, Cost& cost) {
  const auto rows = batch.rows().size();
  const auto begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  for (std::size_t row = 0; row < rows;) {
    const auto part = encoder.encode(batch, row, rows, wire, delivery::Encoder::kRawBytesMax);
    row = part.rows_end;
    cost.raw_bytes += static_cast<double>(part.raw_bytes);
    cost.body_bytes += static_cast<double>(part.body.size());
    ++cost.requests;
  }
  cost.nanoseconds += static_cast<double>(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns);
  cost.samples += static_cast<double>(batch.samples());
}

/// Batches of at most `samples_max` samples, as the sender makes them.
std::vector<std::unique_ptr<queue::Batch>> batches_of(const Scrapes& scrapes,
                                                      std::size_t samples_max) {
  std::vector<std::unique_ptr<queue::Batch>> batches;
  for (const auto& scrape : scrapes) {
    if (batches.empty() || batches.back()->samples() + scrape->values.size() > samples_max) {
      batches.push_back(std::make_unique<queue::Batch>());
    }
    batches.back()->add(0, scrape);
  }
  if (batches.size() > 1) batches.pop_back();  // not a full one
  for (auto& batch : batches) batch->rows();
  return batches;
}

Cost measure(const Scrapes& scrapes, std::size_t samples_max, delivery::Wire wire) {
  const auto batches = batches_of(scrapes, samples_max);
  Cost cost;
  auto encoder = std::make_unique<delivery::Encoder>();
  cost.peak_kib = growth_kib([&] {
    Cost first;
    encode_all(*encoder, *batches.front(), wire, first);
  });
  for (const auto& batch : batches) encode_all(*encoder, *batch, wire, cost);
  return cost;
}

double batch_kib(const Scrapes& scrapes, std::size_t samples_max) {
  queue::Batch batch;
  return growth_kib([&] {
    for (const auto& scrape : scrapes) {
      if (!batch.empty() && batch.samples() + scrape->values.size() > samples_max) break;
      batch.add(0, scrape);
    }
    batch.rows();
  });
}

void print(const char* protocol, const std::string& request, const Cost& cost) {
  std::printf("  %-16s %-16s %8.2f %8.1f %10.0f %10.0f %9.0f\n", protocol, request.c_str(),
              cost.body_bytes / cost.samples, cost.raw_bytes / cost.samples,
              cost.body_bytes / cost.requests, cost.nanoseconds / cost.samples, cost.peak_kib);
}

bool run(const std::string& name, const Scrapes& scrapes) {
  std::printf("%s: %zu series, %zu scrapes\n", name.c_str(), scrapes.front()->values.size(),
              scrapes.size());
  std::printf("  %-16s %-16s %8s %8s %10s %10s %9s\n", "protocol", "samples/request", "B/sample",
              "raw", "B/request", "ns/sample", "peak KiB");
  bool good = true;
  for (const auto& protocol : kProtocols)
    measure(scrapes, 1, protocol.wire);  // code becomes resident
  for (const auto& [wire, protocol] : kProtocols) {
    const auto live = measure(scrapes, 1, wire);
    print(protocol, "live", live);
    const auto four = measure(scrapes, 4 * scrapes.front()->values.size(), wire);
    print(protocol, "four scrapes", four);
    good = good && (wire != delivery::Wire::victoriametrics ||
                    (live.body_bytes <= live.samples * kLiveBytesMax &&
                     four.body_bytes <= four.samples * kFourScrapesBytesMax));
    for (const auto size : kRequestSizes) {
      if (scrapes.size() * scrapes.front()->values.size() < size) continue;
      const auto cost = measure(scrapes, size, wire);
      print(protocol, grouped(size), cost);
      good = good && (wire != delivery::Wire::victoriametrics || size != kRequestSizes[1] ||
                      cost.body_bytes <= cost.samples * kCatchUpBytesMax);
    }
  }
  for (const auto size : kRequestSizes) {
    std::printf("  a batch of %s samples: %.0f KiB\n", grouped(size).c_str(),
                batch_kib(scrapes, size));
  }
  if (!good)
    std::printf("  MISSED: %.1f bytes live, %.1f of four scrapes, %.1f in catch-up\n",
                kLiveBytesMax, kFourScrapesBytesMax, kCatchUpBytesMax);
  return good;
}

Scrapes of_model(HostModel::Size size, std::size_t samples) {
  HostModel model(size);
  Scrapes scrapes;
  while (samples > 0) {
    scrapes.push_back(std::make_shared<const metrics::Scrape>(model.tick()));
    samples -= std::min(samples, scrapes.back()->values.size());
  }
  return scrapes;
}

Scrapes of_this_host(unsigned count) {
  auto outcome = config::parse_config(
      "customer_id: alpha\nenvironment: production\nremote_write:\n"
      "  url: http://127.0.0.1:8428/api/v1/write\n",
      "the benchmark\'s configuration");
  delivery::AgentStats stats;
  for (const auto& endpoint : outcome.config.endpoints)
    stats.endpoints.emplace_back(endpoint.name());
  run::SelfMetrics self(stats, nullptr);
  const auto wakeup = std::make_shared<const Wakeup>();
  sources::HostSource host({.collectors = sources::collectors_of(outcome.config.collectors, false),
                            .paths = {},
                            .options = outcome.config.collector_options,
                            .interval = outcome.config.interval,
                            .labels = outcome.config.target_labels(),
                            .wakeup = wakeup,
                            .self_samples = [&](metrics::SeriesWriter& out) { self.add_to(out); }});
  const auto begin_ns = wall_ns();
  Scrapes scrapes;
  for (unsigned i = 0; i < count; ++i) {
    if (i > 0) ::sleep(1);
    auto scrape = sources::scrape_now(host, {i + 1, wall_ns()}, *wakeup);
    scrape.timestamp_ms = begin_ns / kNsPerMs + i * std::int64_t{15'000};
    scrapes.push_back(std::make_shared<const metrics::Scrape>(std::move(scrape)));
  }
  return scrapes;
}

}  // namespace
}  // namespace msp::bench

int main(int argc, char** argv) {
  using namespace msp::bench;
  if (argc == 3 && std::strcmp(argv[1], "--live") == 0) {
    run("this host", of_this_host(static_cast<unsigned>(std::atoi(argv[2]))));
    return 0;
  }
  const bool small = run("model host", of_model({1, 1, 1, 3}, 210'000));
  const bool host = run("model host, 4 CPUs", of_model({4, 2, 2, 4}, 210'000));
  return small && host ? 0 : 1;
}
