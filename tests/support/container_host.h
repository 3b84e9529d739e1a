// A host in files with control groups of version 2, and the collector `containers` that looks at them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/metrics/series_writer.h"
#include "collectors/registry.h"
#include "tests/support/collect.h"
#include "tests/support/collector_options.h"

namespace msp::test {

/// An id of 64 digits.
inline std::string id_of(unsigned number) {
  auto digits = cat(number);
  return std::string(64 - digits.size(), '0') + digits;
}

/// The collector `containers` with a host in files, on which containers of Docker come and go.
struct ContainerHost {
  ContainerHost() {
    write("sys/fs/cgroup/cgroup.controllers", "memory\n");
    write("sys/fs/cgroup/system.slice/ssh.service/memory.current", "1\n");
  }
  ~ContainerHost() { std::filesystem::remove_all(folder); }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::trunc) << text;
  }

  std::filesystem::path group(unsigned number) const {
    return folder / cat("sys/fs/cgroup/system.slice/docker-", id_of(number), ".scope");
  }
  void add(unsigned number) const {
    const auto path = std::filesystem::relative(group(number), folder).string();
    write(path + "/memory.current", cat(number, "\n"));
    write(path + "/cgroup.procs", "");
  }
  void remove(unsigned number) const { std::filesystem::remove_all(group(number)); }

  struct Report {
    std::map<std::string, double> memory;  // by what is in the braces
    std::size_t ended = 0;                 // series
    std::size_t series = 0;
    std::vector<std::string> complaints;
    std::string error;
  };

  Report tick() {
    Report report;
    builder.begin(writer);
    auto outcome = collect(*part, {++number, 1'700'000'000'000'000'000}, *wakeup, writer);
    if (outcome) {
      outcome = builder.commit(writer);
    } else {
      builder.rollback(writer);
    }
    if (!outcome) report.error = outcome.error().text;
    const auto scrape = builder.finish(0);
    for (std::size_t i = 0; i < scrape.values.size(); ++i) {
      const auto& labels = (*scrape.series)[i]->labels;
      ++(metrics::is_stale_marker(scrape.values[i]) ? report.ended : report.series);
      if (metrics::is_stale_marker(scrape.values[i])) continue;
      if (labels.get(metrics::kMetricName) != "container_memory_usage_bytes") continue;
      const auto name = labels.get("name");
      report.memory[name.empty() ? std::string(labels.get("id")) : std::string(name)] =
          scrape.values[i];
    }
    if (outcome) {
      writer.complaints().end_tick([&](std::string_view text, bool is_over) {
        report.complaints.push_back(cat(is_over ? "over: " : "", text));
      });
    }
    return report;
  }

  static std::string make_folder() {
    char name[] = "/tmp/msp-agent-containers-XXXXXX";
    return mkdtemp(name);
  }

  const std::filesystem::path folder = make_folder();
  const collectors::HostPaths paths{folder / "proc", folder / "sys", folder / "root"};
  const collectors::Host host;
  const collectors::CollectorOptions options = options_of("containers");
  FileTable files;
  const std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  metrics::SeriesWriter& writer = builder.add_writer();
  std::unique_ptr<collectors::Collector> part = [this] {
    for (const auto& entry : collectors::collector_registry()) {
      if (entry.name == "containers") return entry.make({paths, host, options, files, wakeup});
    }
    return std::unique_ptr<collectors::Collector>();
  }();
  std::uint64_t number = 0;
};

}  // namespace msp::test
