// What golden files cannot say of the processes of a host in trouble: that none is read while there is
// no trouble, one that vanishes between the list and its file, the end of a trouble, and a look that is
// too old to count from.
#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <cmath>
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

struct TroubledHost {
  ~TroubledHost() { fs::remove_all(folder); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::trunc) << text;
  }
  void run(unsigned pid, const std::string& comm, unsigned ticks, unsigned pages = 10,
           unsigned began = 100) const {
    write(cat("proc/", pid, "/stat"), cat(pid, " (", comm, ") S 1 1 1 0 -1 4194560 0 0 0 0 ", ticks,
                                          " 0 0 0 20 0 1 0 ", began, " 4096 ", pages, " 9\n"));
  }
  /// `seconds` pass on two CPUs, both busy or both idle.
  void pass(unsigned seconds, bool is_busy) {
    (is_busy ? busy : idle) += seconds * 200;
    write("proc/stat",
          cat("cpu  ", busy, " 0 0 ", idle, " 0 0 0 0 0 0\ncpu0 1 0 0 1\ncpu1 1 0 0 1\n"));
  }

  /// By name, without what they have in common, and label.
  std::map<std::string, double> tick() {
    builder.begin(writer);
    const auto outcome = collect(*part, {++number, 1'700'000'000'000'000'000}, *wakeup, writer);
    REQUIRE(outcome.has_value());
    REQUIRE(builder.commit(writer).has_value());
    const auto scrape = builder.finish(0);
    std::map<std::string, double> samples;
    for (std::size_t i = 0; i < scrape.values.size(); ++i) {
      if (std::isnan(scrape.values[i])) continue;  // a series that has ended
      const auto& labels = (*scrape.series)[i]->labels;
      constexpr std::string_view kBegin = "msp_agent_top_process_";
      const auto name = labels.get(metrics::kMetricName).substr(kBegin.size());
      samples[cat(name, " ", labels.get("command"), labels.get("of"))] = scrape.values[i];
    }
    complaints.clear();
    writer.complaints().end_tick(
        [&](std::string_view text, bool) { complaints.emplace_back(text); });
    return samples;
  }

  static std::string make_folder() {
    char name[] = "/tmp/msp-agent-top-XXXXXX";
    return mkdtemp(name);
  }

  const fs::path folder = make_folder();
  const collectors::HostPaths paths{folder / "proc", folder / "sys", folder / "root"};
  const collectors::Host host;
  const collectors::CollectorOptions options = options_of("top_processes");
  FileTable files;
  const std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  metrics::SeriesWriter& writer = builder.add_writer();
  std::vector<std::string> complaints;
  std::unique_ptr<collectors::Collector> part = [this] {
    for (const auto& entry : collectors::collector_registry()) {
      if (entry.name == "top_processes") return entry.make({paths, host, options, files, wakeup});
    }
    return std::unique_ptr<collectors::Collector>();
  }();
  std::uint64_t number = 0;
  unsigned busy = 1'000, idle = 1'000;
};

using Samples = std::map<std::string, double>;

}  // namespace

TEST_CASE_METHOD(TroubledHost, "no process is read while the host is in no trouble", "[threads]") {
  // Would be said of each look.
  write("proc/7/stat", "garbled");
  for (int i = 0; i < 3; ++i) {
    pass(15, false);
    CHECK(tick() == Samples{});
    CHECK(complaints.empty());
  }
  pass(15, true);
  CHECK(tick() == Samples{{"trouble_ratio cpu", 1}});
  REQUIRE(complaints.size() == 1);
  CHECK(complaints[0].find("/proc/7/stat: 'garbled' is not the state of a process") !=
        std::string::npos);
}

TEST_CASE_METHOD(TroubledHost, "a command's CPU is known from the second tick of trouble on",
                 "[threads]") {
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  pass(15, false);
  run(10, "a", 5'000);
  run(11, "a", 100);
  CHECK(tick() == Samples{});
  pass(10, true);
  CHECK(tick() ==
        Samples{{"trouble_ratio cpu", 1}, {"resident_bytes a", 20 * page}, {"count a", 2}});
  pass(10, true);
  run(10, "a", 5'500);
  run(11, "a", 1'100);
  run(12, "new", 250, 5, 200);
  run(13, "old", 9'000, 5, 50);  // was there before, and was not seen
  auto samples = tick();
  CHECK(samples["cpu_cores a"] == 1.5);
  CHECK(samples["cpu_cores new"] == 0.25);
  CHECK_FALSE(samples.contains("cpu_cores old"));
  CHECK(samples["count old"] == 1);
  pass(100, false);
  CHECK(tick() == Samples{});
}

TEST_CASE_METHOD(TroubledHost, "what was seen more than a minute ago is not counted from",
                 "[threads]") {
  pass(15, false);
  run(10, "a", 100);
  tick();
  pass(10, true);
  tick();
  SECTION("a short break") {
    pass(30, false);
    CHECK(tick() == Samples{});
    pass(30, true);
    run(10, "a", 3'100);
    CHECK(tick()["cpu_cores a"] == 0.5);
  }
  SECTION("a long one") {
    pass(61, false);
    CHECK(tick() == Samples{});
    pass(30, true);
    run(10, "a", 3'100);
    CHECK_FALSE(tick().contains("cpu_cores a"));
  }
}

TEST_CASE_METHOD(TroubledHost, "five commands by CPU and five by memory, whatever runs",
                 "[threads]") {
  pass(15, false);
  tick();
  for (int look = 0; look < 2; ++look) {
    for (unsigned i = 0; i < 3'000; ++i) {
      run(1'000 + i, cat("p", i % 300), (i % 300 + 1) * static_cast<unsigned>(look), 300 - i % 300);
    }
    pass(10, true);
    if (look == 0) tick();
  }
  const auto samples = tick();
  const auto of = [&](std::string_view begin) {
    return std::ranges::count_if(samples,
                                 [&](const auto& one) { return one.first.starts_with(begin); });
  };
  CHECK(of("cpu_cores ") == 5);
  CHECK(of("resident_bytes ") == 5);
  CHECK(of("count ") == 10);
  CHECK(samples.at("count p299") == 10);
  CHECK(samples.at("cpu_cores p299") == 3);
  CHECK(samples.contains("resident_bytes p0"));
}

TEST_CASE_METHOD(TroubledHost,
                 "a process that vanishes while it is looked at costs itself, silently",
                 "[threads]") {
  pass(15, false);
  tick();
  pass(15, true);
  run(10, "a", 1);
  // Of one that is gone the kernel has a name in its list, and no file.
  fs::create_directories(folder / "proc/11");
  fs::create_symlink("/nowhere", folder / "proc/11/stat");
  CHECK(tick().contains("count a"));
  CHECK(complaints.empty());
}

TEST_CASE_METHOD(TroubledHost, "idle time that steps back is no trouble", "[threads]") {
  pass(15, false);
  tick();
  idle -= 100;
  pass(1, true);
  CHECK(tick() == Samples{});
}

}  // namespace msp::test
