// HostSource with what only collectors show it: those without data are asked once a minute, costly
// ones are a source of their own, and both have one limit on series.
#include "agent/sources/host.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/file_host.h"

namespace msp::test {
namespace {

struct Ticking {
  FileHost files;
  FakeClock clock;
  std::vector<std::string> failures;
  const Wakeup wakeup;

  sources::HostSource::Setup setup(std::vector<std::string> collectors) {
    return {.collectors = std::move(collectors),
            .paths = files.paths(),
            .host = {.uname = fake_uname, .statvfs = fake_statvfs, .adjtimex = fake_adjtimex},
            .clock = &clock,
            .on_health_change = [this](std::string_view name, const Error* error) {
              failures.push_back(cat(name, ": ", error == nullptr ? "works" : error->text));
            }};
  }

  metrics::Scrape tick(sources::HostSource& source) {
    const metrics::Tick now{++number_, clock.wall_ns()};
    source.begin(now);
    return source.finish(now);
  }

 private:
  std::uint64_t number_ = 0;
};

std::map<std::string, std::size_t> counts_of(const metrics::Scrape& scrape) {
  std::map<std::string, std::size_t> counts;
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    if (metrics::is_stale_marker(scrape.values[i])) continue;
    ++counts[std::string((*scrape.series)[i]->labels.get(metrics::kMetricName))];
  }
  return counts;
}

}  // namespace

TEST_CASE("a collector without data is asked again after a minute, and says so all the time") {
  Ticking host;
  const auto folder = host.files.path("sys/class/watchdog");
  const auto away = host.files.path("sys/class/away");
  sources::HostSource source(host.setup({"loadavg", "watchdog"}));
  CHECK(counts_of(host.tick(source)).contains("node_watchdog_timeout_seconds"));
  fs::rename(folder, away);
  host.tick(source);
  REQUIRE(host.failures.size() == 1);
  fs::rename(away, folder);
  for (int i = 0; i < 3; ++i) {
    host.clock.advance(15 * kNsPerSecond);
    const auto counts = counts_of(host.tick(source));
    CHECK_FALSE(counts.contains("node_watchdog_timeout_seconds"));
    CHECK(counts.at("node_scrape_collector_success") == 2);
    const auto outcome = source.outcomes().back();
    CHECK(outcome.name == "watchdog");
    CHECK_FALSE(outcome.success);
    CHECK_FALSE(outcome.has_data);
    CHECK(outcome.error.find("no such folder") != outcome.error.npos);
  }
  host.clock.advance(15 * kNsPerSecond);
  CHECK(counts_of(host.tick(source)).contains("node_watchdog_timeout_seconds"));
  CHECK(host.failures == std::vector<std::string>{host.failures[0], "watchdog: works"});
}

TEST_CASE("a collector whose devices come and go is asked at each tick, also without a series") {
  Ticking host;
  host.files.write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 900 kB\n");
  const auto wakeup = std::make_shared<const Wakeup>();
  auto setup = host.setup({"top_processes"});
  setup.wakeup = wakeup;
  sources::HostSource source(std::move(setup));
  std::uint64_t number = 0;
  const auto troubles = [&] {
    host.clock.advance(15 * kNsPerSecond);
    return counts_of(sources::scrape_now(source, {++number, host.clock.wall_ns()}, *wakeup))
        .contains("msp_agent_top_process_trouble_ratio");
  };
  CHECK_FALSE(troubles());
  host.files.write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 10 kB\n");
  CHECK(troubles());
}

TEST_CASE("hardware that is not there is asked for again after a minute, and is no failure") {
  Ticking host;
  const auto device = host.files.path("sys/class/watchdog/watchdog0");
  const auto away = host.files.path("sys/class/away");
  sources::HostSource source(host.setup({"watchdog"}));
  fs::rename(device, away);
  CHECK_FALSE(counts_of(host.tick(source)).contains("node_watchdog_timeout_seconds"));
  CHECK(source.outcomes().front().success);
  fs::rename(away, device);
  host.clock.advance(15 * kNsPerSecond);
  CHECK_FALSE(counts_of(host.tick(source)).contains("node_watchdog_timeout_seconds"));
  host.clock.advance(45 * kNsPerSecond);
  CHECK(counts_of(host.tick(source)).contains("node_watchdog_timeout_seconds"));
}

TEST_CASE("a collector whose values are all garbled is asked at the next tick") {
  Ticking host;
  sources::HostSource source(host.setup({"watchdog"}));
  std::map<fs::path, std::string> whole;
  for (const auto& entry :
       fs::recursive_directory_iterator(host.files.path("sys/class/watchdog"))) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path());
    whole[entry.path()] = {std::istreambuf_iterator<char>(file), {}};
  }
  REQUIRE_FALSE(whole.empty());
  for (const auto& [path, text] : whole) std::ofstream(path) << "(null)\n";
  const auto garbled = counts_of(host.tick(source));
  for (const auto& [path, text] : whole) std::ofstream(path) << text;
  host.clock.advance(15 * kNsPerSecond);
  const auto counts = counts_of(host.tick(source));
  CHECK(counts.contains("node_watchdog_timeout_seconds"));
  CHECK(garbled.size() < counts.size());
}

TEST_CASE("a collector that is not asked takes no time, though others are waited for") {
  Ticking host;
  const auto wakeup = std::make_shared<const Wakeup>();
  auto setup = host.setup({"systemd"});
  setup.wakeup = wakeup;
  sources::HostSource source(std::move(setup));
  fs::remove(host.files.path("root/run/dbus/system_bus_socket"));
  sources::scrape_now(source, {1, host.clock.wall_ns()}, *wakeup);
  REQUIRE_FALSE(source.outcomes().front().has_data);
  const auto took = source.outcomes().front().duration_seconds;
  for (int i = 0; i < 2; ++i) {
    host.clock.advance(15 * kNsPerSecond);
    const metrics::Tick now{static_cast<std::uint64_t>(i) + 2, host.clock.wall_ns()};
    source.begin(now);
    host.clock.advance(kNsPerSecond);  // a mount that answers late
    source.finish(now);
    CHECK(source.outcomes().front().duration_seconds == took);
  }
}

TEST_CASE("costly collectors are those of another source, which says nothing of the agent") {
  Ticking host;
  const std::vector<std::string> names = {"hwmon", "loadavg", "netclass"};
  const auto costly_names = sources::collectors_of(names, true);
  CHECK(costly_names == std::vector<std::string>{"hwmon", "netclass"});
  CHECK(sources::collectors_of(names, false) == std::vector<std::string>{"loadavg"});
  auto setup = host.setup(costly_names);
  setup.name = sources::kCostlySource;
  setup.self_samples = nullptr;
  sources::HostSource costly(std::move(setup));
  sources::HostSource plain(host.setup(sources::collectors_of(names, false)));
  CHECK(costly.name() == "host_costly");
  CHECK(plain.name() == "host");
  const auto of_costly = counts_of(host.tick(costly));
  const auto of_plain = counts_of(host.tick(plain));
  CHECK_FALSE(of_costly.contains("up"));
  CHECK(of_plain.at("up") == 1);
  CHECK(of_costly.at("node_scrape_collector_success") == 2);
  CHECK(of_plain.at("node_scrape_collector_success") == 1);
  CHECK(of_costly.contains("node_network_up"));
  CHECK(of_plain.contains("node_load1"));
}

TEST_CASE("both sources of the host have one limit on series") {
  Ticking host;
  auto setup = host.setup({"netdev"});
  setup.series_count = std::make_shared<std::size_t>(0);
  const auto count = setup.series_count;
  sources::HostSource unlimited(host.setup({"netdev"}));
  const auto of_netdev = unlimited.outcomes().size();
  CHECK(of_netdev == 1);
  host.tick(unlimited);
  setup.series_max = unlimited.outcomes()[0].series + 2;
  sources::HostSource first(setup);
  setup.name = sources::kCostlySource;
  setup.collectors = {"netclass"};
  {
    sources::HostSource second(setup);
    host.tick(first);
    CHECK(*count == first.outcomes()[0].series);
    host.tick(second);
    CHECK_FALSE(second.outcomes()[0].success);
    CHECK(second.outcomes()[0].error.find("over the limit of") != std::string::npos);
    host.tick(first);
    CHECK(first.outcomes()[0].success);
  }
  setup.series_max += 10;
  {
    sources::HostSource second(setup);
    host.tick(second);
    CHECK(second.outcomes()[0].success);
    CHECK(*count == first.outcomes()[0].series + second.outcomes()[0].series);
  }
  CHECK(*count == first.outcomes()[0].series);
}

}  // namespace msp::test
