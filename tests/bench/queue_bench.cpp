// What the queue costs: append and read throughput on one core, bytes per sample on disk, memory
// and time to open with a long backlog. Prints figures, and fails where one misses its target.
//
//   queue_bench [folder]     on a real disk's folder, by default below the working directory; the
//                             write-ahead log is in /dev/shm
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/base/clock.h"
#include "agent/queue/queue.h"
#include "agent/queue/spiller.h"
#include "tests/bench/host_model.h"

namespace fs = std::filesystem;

namespace msp::bench {
namespace {

constexpr double kBytesPerSampleMax = 2;
constexpr double kOpenSecondsMax = 0.2;
constexpr double kMemoryGrowthMaxMiB = 8;
constexpr std::size_t kSamplesPerRequest = 10'000;

double seconds(const std::function<void()>& work) {
  const auto begin = monotonic_ns();
  work();
  return static_cast<double>(monotonic_ns() - begin) / kNsPerSecond;
}

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  double all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

class Bench {
 public:
  explicit Bench(const fs::path& folder) {
    options_.folder = folder / "buffer";
    options_.wal_folder = "/dev/shm/msp-agent-bench-" + std::to_string(::getpid());
    options_.limits.bytes_max = 1 << 30;
    options_.limits.free_bytes_min = 0;
  }
  ~Bench() { remove(); }

  void open() {
    close();
    auto opened = queue::Queue::open(options_);
    if (!opened) {
      std::fprintf(stderr, "queue_bench: %s\n", opened.error().text.c_str());
      std::exit(1);
    }
    queue_ = std::move(*opened);
    spiller_ = std::make_unique<queue::Spiller>(*queue_);
    queue_->add_consumer("a");
  }

  void close() {
    spiller_.reset();
    queue_.reset();
  }

  void remove() {
    close();
    fs::remove_all(options_.folder);
    fs::remove_all(options_.wal_folder);
  }

  bool run(const char* name, HostModel::Size size, int ticks) {
    remove();
    open();
    HostModel host(size);
    const auto per_scrape = host.tick().values.size();
    const auto samples = static_cast<double>(per_scrape) * ticks;
    const auto before_mib = resident_mib();
    double append_s = 0, spill_s = 0;
    for (int i = 0; i < ticks; ++i) {
      auto scrape = host.tick();
      append_s += seconds([&] { queue_->append(std::move(scrape)); });
      if (i % 64 == 63) spill_s += seconds([&] { spiller_->round(true); });
    }
    spiller_->round(true);
    const auto queued_mib = resident_mib() - before_mib;
    const auto bytes_per_sample = static_cast<double>(queue_->state().bytes) / samples;
    const auto open_s = seconds([&] { open(); });

    std::size_t handed = 0;
    const auto read_s = seconds([&] {
      queue::Batch batch;
      while (queue_->read(0, {.samples_max = kSamplesPerRequest}, batch)) {
        for (const auto& row : batch.rows()) handed += batch.points(row).size();
        queue_->ack(0, batch);
      }
    });
    std::printf("%s: %zu series, %d scrapes, %.1f days at 15 s\n", name, per_scrape, ticks,
                ticks * 15.0 / 86400);
    std::printf(
        "    append %.1f M samples/s, to disk, fdatasync every 64 scrapes, %.1f M samples/s\n",
        samples / append_s / 1e6, samples / spill_s / 1e6);
    std::printf("    read, grouped by series %.1f M samples/s\n", samples / read_s / 1e6);
    std::printf("    %.2f B/sample on disk, memory for the backlog %.1f MiB, open %.0f ms\n",
                bytes_per_sample, queued_mib, open_s * 1e3);
    return static_cast<double>(handed) == samples && bytes_per_sample <= kBytesPerSampleMax &&
           queued_mib <= kMemoryGrowthMaxMiB && open_s <= kOpenSecondsMax;
  }

  /// 256 MiB queued, of which the newest segment has no summary: as a crash leaves it.
  bool run_open() {
    remove();
    open();
    auto scrape = HostModel({64, 24, 200, 60}).tick();
    std::mt19937_64 random(1);
    while (queue_->state().bytes < (256u << 20)) {
      for (int i = 0; i < 64; ++i) {
        scrape.timestamp_ms += 15'000;
        // Noise, or it would take the figures of months to fill so much.
        for (auto& value : scrape.values) value = static_cast<double>(random()) / 3;
        queue_->append(scrape);
      }
      spiller_->round(true);
    }
    const auto state = queue_->state();
    const auto open_s = seconds([&] { open(); });
    std::printf("open with %zu segments, %.0f MiB queued: %.0f ms\n", state.segments,
                static_cast<double>(state.bytes) / (1 << 20), open_s * 1e3);
    return open_s <= kOpenSecondsMax;
  }

 private:
  queue::Queue::Options options_;
  std::unique_ptr<queue::Queue> queue_;
  std::unique_ptr<queue::Spiller> spiller_;
};

}  // namespace
}  // namespace msp::bench

int main(int argc, char** argv) {
  msp::bench::Bench bench(argc > 1 ? argv[1] : "queue_bench.tmp");
  const bool small = bench.run("host", {4, 2, 2, 4}, 7 * 5760);  // a week
  const bool large = bench.run("large host", {64, 24, 200, 60}, 1000);
  const bool opens = bench.run_open();
  if (!small || !large || !opens) std::puts("a target was missed");
  return small && large && opens ? 0 : 1;
}
