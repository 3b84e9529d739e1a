// What golden files cannot say of groups of processes: more of them than the limit, and 5,000 processes of
// which none is forgotten or counted twice.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "collectors/registry.h"
#include "tests/support/collect.h"
#include "tests/support/collector_options.h"

namespace fs = std::filesystem;

namespace msp::test {
namespace {

struct ProcessHost {
  ~ProcessHost() { fs::remove_all(folder); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::trunc) << text;
  }
  void start(unsigned pid, const std::string& comm, unsigned user_ticks, unsigned began) const {
    write(cat("proc/", pid, "/stat"), cat(pid, " (", comm, ") S 1 1 1 0 -1 4194560 0 0 0 0 ",
                                          user_ticks, " 0 0 0 20 0 1 0 ", began, " 4096 1 9\n"));
    write(cat("proc/", pid, "/cmdline"), comm);
  }
  void end(unsigned pid) const { fs::remove_all(folder / cat("proc/", pid)); }

  std::map<std::string, double> tick() {
    builder.begin(writer);
    const auto outcome = collect(*part, {++number, 1'700'000'000'000'000'000}, *wakeup, writer);
    REQUIRE(outcome.has_value());
    REQUIRE(builder.commit(writer).has_value());
    const auto scrape = builder.finish(0);
    std::map<std::string, double> samples;
    for (std::size_t i = 0; i < scrape.values.size(); ++i) {
      const auto& labels = (*scrape.series)[i]->labels;
      constexpr std::string_view kBegin = "namedprocess_namegroup_";
      const auto name = labels.get(metrics::kMetricName).substr(kBegin.size());
      samples[cat(name, " ", labels.get("groupname"), labels.get("mode"))] = scrape.values[i];
    }
    complaints.clear();
    writer.complaints().end_tick(
        [&](std::string_view text, bool) { complaints.emplace_back(text); });
    return samples;
  }

  static std::string make_folder() {
    char name[] = "/tmp/msp-agent-processes-XXXXXX";
    return mkdtemp(name);
  }

  const fs::path folder = make_folder();
  const collectors::HostPaths paths{folder / "proc", folder / "sys", folder / "root"};
  const collectors::Host host;
  const collectors::CollectorOptions options = options_of("process_groups");
  FileTable files;
  const std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  metrics::SeriesWriter& writer = builder.add_writer();
  std::vector<std::string> complaints;
  std::unique_ptr<collectors::Collector> part = [this] {
    for (const auto& entry : collectors::collector_registry()) {
      if (entry.name == "process_groups") return entry.make({paths, host, options, files, wakeup});
    }
    return std::unique_ptr<collectors::Collector>();
  }();
  std::uint64_t number = 0;
};

}  // namespace

TEST_CASE_METHOD(ProcessHost, "a group's counters never sink, whatever its processes do",
                 "[threads]") {
  write("proc/stat", "btime 1\n");
  start(10, "a", 500, 100);
  CHECK(tick()["cpu_seconds_total auser"] == 0);  // what was before does not count
  start(10, "a", 700, 100);
  CHECK(tick()["cpu_seconds_total auser"] == 2);
  start(10, "a", 50, 900);  // another process has the number
  CHECK(tick()["cpu_seconds_total auser"] == 2.5);
  start(10, "a", 40, 900);  // a kernel that counts back
  CHECK(tick()["cpu_seconds_total auser"] == 2.5);
  end(10);
  start(11, "b", 100, 950);
  auto after = tick();
  CHECK(after["cpu_seconds_total auser"] == 2.5);
  CHECK(after["num_procs a"] == 0);
  CHECK(after["cpu_seconds_total buser"] == 1);
}

TEST_CASE_METHOD(ProcessHost, "groups beyond the limit are left out, with one line", "[threads]") {
  write("proc/stat", "btime 1\n");
  for (unsigned i = 0; i < 250; ++i) start(1'000 + i, cat("p", i), 1, 100);
  std::size_t groups = 0;
  for (const auto& [name, value] : tick()) groups += name.starts_with("num_procs ") ? 1 : 0;
  CHECK(groups == 200);
  REQUIRE(complaints.size() == 1);
  CHECK(complaints[0].find("more than 200 groups of processes") != std::string::npos);
}

TEST_CASE_METHOD(ProcessHost, "each of 5,000 processes is counted, once", "[threads]") {
  write("proc/stat", "btime 1\n");
  for (unsigned i = 0; i < 5'000; ++i) start(1'000 + i, cat("p", i % 10), 1, 100);
  for (int look = 0; look < 2; ++look) {
    double processes = 0;
    for (const auto& [name, value] : tick())
      processes += name.starts_with("num_procs ") ? value : 0;
    CHECK(processes == 5'000);
  }
}

}  // namespace msp::test
