// The samples of a host under load, made up tick by tick so that a benchmark is the same
// everywhere: the metrics of the default collectors with node_exporter's names, units and
// granularity, at one tick per 15 s.
//
// What is modelled, because it decides how well values compress: cpu time in jiffies with a share
// that wanders between ticks; memory in whole pages, a few MB up or down per tick; disk times in
// ms, bytes in sectors; network devices of which half are idle; file systems of which a few change;
// a clock with a nanosecond part; durations in ns that are different every time. No series stands
// still that moves on a busy server.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/metrics/sample.h"

namespace msp::bench {

enum class Form { counter, gauge };
enum class Digits { integers, floats };

class HostModel {
 public:
  struct Size {
    int cpus, disks, devices, filesystems;
  };
  struct Column {
    Form form;
    Digits digits;
    std::function<double()> next;
  };

  explicit HostModel(Size size, std::uint64_t seed = 1) : random_(seed) {
    cpus(size.cpus);
    memory();
    disks(size.disks);
    devices(size.devices);
    filesystems(size.filesystems);
    rest();
    series_ = std::move(set_);
  }

  metrics::Scrape tick() {
    timestamp_ms_ += 15'000;
    metrics::Scrape scrape{timestamp_ms_, series_, {}};
    scrape.values.reserve(columns_.size());
    for (auto& column : columns_) scrape.values.push_back(column.next());
    return scrape;
  }

  const std::vector<Column>& columns() const { return columns_; }

 private:
  double normal(double mean, double deviation) {
    return std::normal_distribution<double>(mean, deviation)(random_);
  }
  double uniform(double from, double to) {
    return std::uniform_real_distribution<double>(from, to)(random_);
  }

  void add(const std::string& name, const std::vector<metrics::Label>& labels, Form form,
           Digits digits, std::function<double()> next) {
    std::vector<metrics::Label> all = labels;
    for (const auto& [key, value] : {std::pair{"customer_id", "alpha"},
                                     {"environment", "production"},
                                     {"instance", "web-01.alpha.example.com"},
                                     {"job", "node"},
                                     {"region", "ap-northeast-2"},
                                     {"server_name", "web-01"}}) {
      all.push_back({key, value});
    }
    all.push_back({"__name__", name});
    set_->push_back(std::make_shared<const metrics::Series>(
        metrics::Series{metrics::Labels(std::move(all)), nullptr}));
    columns_.push_back({form, digits, std::move(next)});
  }

  void constant(const std::string& name, const std::vector<metrics::Label>& labels, double value,
                Form form = Form::gauge) {
    add(name, labels, form, Digits::integers, [value] { return value; });
  }

  /// Grows by about `rate` units a tick: by a share that wanders, and noise.
  void counter(const std::string& name, const std::vector<metrics::Label>& labels, double rate,
               double per_unit, Digits digits = Digits::integers) {
    auto total = std::floor(uniform(1e3, 2e5) * (rate + 1e-3));
    add(name, labels, Form::counter, digits,
        [this, total, rate, share = 1.0, per_unit, digits]() mutable {
          share = std::clamp(share + normal(0, 0.1), 0.3, 2.0);
          total += std::max(0.0, std::round(normal(rate * share, std::sqrt(rate * share))));
          return digits == Digits::floats ? total / per_unit : total * per_unit;
        });
  }

  /// Wanders by about `step` units a tick.
  void gauge(const std::string& name, const std::vector<metrics::Label>& labels, double start,
             double step, double unit) {
    add(name, labels, Form::gauge, Digits::integers, [this, at = start, step, unit]() mutable {
      at = std::max(0.0, at + std::round(normal(0, step)));
      return at * unit;
    });
  }

  void cpus(int count) {
    for (int cpu = 0; cpu < count; ++cpu) {
      for (const auto& [mode, rate] : {std::pair{"idle", 900.0},
                                       {"iowait", 8.0},
                                       {"irq", 0.0},
                                       {"nice", 0.0},
                                       {"softirq", 6.0},
                                       {"steal", 2.0},
                                       {"system", 120.0},
                                       {"user", 400.0}}) {
        counter("node_cpu_seconds_total", {{"cpu", std::to_string(cpu)}, {"mode", mode}}, rate, 100,
                Digits::floats);
      }
      for (const auto mode : {"nice", "user"}) {
        constant("node_cpu_guest_seconds_total", {{"cpu", std::to_string(cpu)}, {"mode", mode}}, 0,
                 Form::counter);
      }
    }
  }

  void memory() {
    for (int i = 0; i < 48; ++i) {
      const auto name = "node_memory_field" + std::to_string(i) + "_bytes";
      if (i < 18) {
        constant(name, {}, i < 6 ? 0 : 4096.0 * 1000 * i);
      } else if (i < 40) {
        gauge(name, {}, 500'000, i < 30 ? 900 : 40, 4096);  // pages
      } else {
        gauge(name, {}, 60'000, 30, 1024);
      }
    }
  }

  void disks(int count) {
    for (int disk = 0; disk < count; ++disk) {
      const std::vector<metrics::Label> labels{{"device", "nvme" + std::to_string(disk) + "n1"}};
      const double load = disk % 2 == 0 ? 1 : 0.02;
      for (const auto operation : {"reads", "writes"}) {
        const auto name = "node_disk_" + std::string(operation);
        counter(name + "_completed_total", labels, 900 * load, 1);
        counter(name + "_merged_total", labels, 60 * load, 1);
        counter(name + "_bytes_total", labels, 40'000 * load, 512);
        counter(name + "_time_seconds_total", labels, 700 * load, 1000, Digits::floats);
        constant("node_disk_discards_" + std::string(operation), labels, 0, Form::counter);
      }
      counter("node_disk_io_time_seconds_total", labels, 1500 * load, 1000, Digits::floats);
      counter("node_disk_io_time_weighted_seconds_total", labels, 2500 * load, 1000,
              Digits::floats);
      gauge("node_disk_io_now", labels, 1, 1, 1);
      counter("node_disk_flush_requests_total", labels, 50 * load, 1);
      counter("node_disk_flush_requests_time_seconds_total", labels, 40 * load, 1000,
              Digits::floats);
    }
  }

  void devices(int count) {
    for (int device = 0; device < count; ++device) {
      const std::vector<metrics::Label> labels{
          {"device", "veth" + std::to_string(7919 * (device + 1))}};
      const double load = device % 2 == 0 ? 1 : 0;
      for (const auto direction : {"receive", "transmit"}) {
        const auto name = "node_network_" + std::string(direction);
        counter(name + "_bytes_total", labels, 9e6 * load, 1);
        counter(name + "_packets_total", labels, 12'000 * load, 1);
        for (const auto what : {"compressed", "drop", "errs", "fifo", "frame", "multicast"}) {
          constant(name + "_" + what + "_total", labels, 0, Form::counter);
        }
      }
    }
  }

  void filesystems(int count) {
    for (int i = 0; i < count; ++i) {
      const std::vector<metrics::Label> labels{{"device", "/dev/mapper/vg-" + std::to_string(i)},
                                               {"fstype", "ext4"},
                                               {"mountpoint", "/srv/data" + std::to_string(i)}};
      const double step = i % 4 == 0 ? 500 : 0;
      constant("node_filesystem_size_bytes", labels, 4096.0 * 26'000'000);
      gauge("node_filesystem_free_bytes", labels, 9e6, step, 4096);
      gauge("node_filesystem_avail_bytes", labels, 8e6, step, 4096);
      constant("node_filesystem_files", labels, 6'553'600);
      gauge("node_filesystem_files_free", labels, 6e6, step / 50, 1);
      constant("node_filesystem_readonly", labels, 0);
      constant("node_filesystem_device_error", labels, 0);
    }
  }

  void rest() {
    for (const auto window : {"1", "5", "15"}) {
      add("node_load" + std::string(window), {}, Form::gauge, Digits::floats,
          [this, at = 240.0]() mutable {
            at = std::max(0.0, at + std::round(normal(0, 15)));
            return at / 100;
          });
    }
    counter("node_context_switches_total", {}, 300'000, 1);
    counter("node_intr_total", {}, 200'000, 1);
    counter("node_forks_total", {}, 300, 1);
    gauge("node_procs_running", {}, 3, 2, 1);
    gauge("node_procs_blocked", {}, 0, 1, 1);
    constant("node_boot_time_seconds", {}, 1'790'000'000);
    add("node_time_seconds", {}, Form::gauge, Digits::floats, [this] {
      return static_cast<double>(timestamp_ms_) / 1e3 + std::round(uniform(2e5, 9e5)) / 1e9;
    });
    for (const auto collector : {"cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev",
                                 "stat", "time", "uname"}) {
      const std::vector<metrics::Label> labels{{"collector", collector}};
      constant("node_scrape_collector_success", labels, 1);
      add("node_scrape_collector_duration_seconds", labels, Form::gauge, Digits::floats,
          [this] { return std::round(std::fabs(normal(2e5, 5e4))) / 1e9; });
    }
    constant("up", {}, 1);
    counter("msp_agent_samples_total", {}, 200, 1);
    counter("msp_agent_sent_bytes_total", {}, 900, 1);
    counter("msp_agent_cpu_seconds_total", {}, 2, 100, Digits::floats);
    gauge("msp_agent_resident_memory_bytes", {}, 2000, 3, 4096);
    for (int i = 0; i < 12; ++i) {
      constant("msp_agent_errors" + std::to_string(i) + "_total", {}, 0, Form::counter);
    }
  }

  std::mt19937_64 random_;
  std::int64_t timestamp_ms_ = 1'790'000'000'000;
  std::shared_ptr<metrics::SeriesSet> set_ = std::make_shared<metrics::SeriesSet>();
  std::shared_ptr<const metrics::SeriesSet> series_;
  std::vector<Column> columns_;
};

}  // namespace msp::bench
