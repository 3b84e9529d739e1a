// What files can do to the collector textfile, and what they cannot.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>

#include "agent/metrics/exposition.h"
#include "agent/sources/host.h"
#include "tests/support/collect.h"
#include "tests/support/collector_options.h"
#include "tests/support/file_host.h"

namespace msp::test {
namespace {

constexpr auto kFolder = "root/var/lib/msp-agent-textfile/";

/// The collector on files of its own, its ticks one after the other.
struct Ticks {
  Ticks() {
    for (const auto& entry : collectors::collector_registry()) {
      if (entry.name == "textfile") {
        collector = entry.make({host.paths(), calls, options, files, wakeup});
      }
    }
  }

  void write(const std::string& name, const std::string& text) const {
    host.write(kFolder + name, text);
  }

  /// The text of a tick, complaints behind it.
  std::string tick() {
    builder.begin(writer);
    REQUIRE(collect(*collector, {++number, 0}, *wakeup, writer).has_value());
    REQUIRE(builder.commit(writer).has_value());
    auto text = metrics::text_format(builder.finish(0));
    writer.complaints().end_tick(
        [&](std::string_view complaint, bool) { text += cat("# ", complaint, "\n"); });
    return text;
  }

  const FileHost host;
  const collectors::Host calls{};
  const collectors::CollectorOptions options = options_of("textfile");
  FileTable files;
  const std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  std::unique_ptr<collectors::Collector> collector;
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  metrics::SeriesWriter& writer = builder.add_writer();
  std::uint64_t number = 0;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

/// Bytes that this process has read so far.
std::uint64_t bytes_read() {
  const auto io = slurp("/proc/self/io");
  return std::stoull(io.substr(io.find("rchar: ") + 7));
}

}  // namespace

TEST_CASE("textfile: what is no file is not waited for, and the others are read") {
  alarm(60);
  Ticks ticks;
  ticks.write("a.prom", "good 1\n");
  REQUIRE(::mkfifo(ticks.host.path(std::string(kFolder) + "b.prom").c_str(), 0644) == 0);
  fs::create_symlink("/dev/zero", ticks.host.path(std::string(kFolder) + "c.prom"));
  const auto text = ticks.tick();
  CHECK(has(text, "good 1\n"));
  CHECK(has(text, "node_textfile_scrape_error 1\n"));
  CHECK(has(text, "msp_agent_textfile_error{file=\"/var/lib/msp-agent-textfile/b.prom\""));
  CHECK(has(text, "c.prom: not a regular file; the file is left out\n"));
  alarm(0);
}

TEST_CASE("textfile: a file that is too large costs that file") {
  Ticks ticks;
  ticks.write("a.prom", "good 1\n");
  ticks.write("b.prom", std::string((1 << 20) + 1, '\n'));
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += cat("many{i=\"", i, "\"} 1\n");
  ticks.write("c.prom", many);
  ticks.write("d.prom", "also_good 1\n");
  const auto text = ticks.tick();
  CHECK(has(text, "\ngood 1\n"));
  CHECK(has(text, "also_good 1\n"));
  CHECK_FALSE(has(text, "many{"));
  CHECK(has(text, "b.prom\",reason=\"too_large\"} 1\n"));
  CHECK(has(text, "c.prom\",reason=\"too_many_series\"} 1\n"));
}

TEST_CASE("textfile: a file is read when it has changed, and not otherwise") {
  Ticks ticks;
  std::string text = "value 1\n";
  for (int i = 0; i < 5'000; ++i) text += cat("some_series_with_a_long_name{i=\"", i, "\"} 1\n");
  ticks.write("a.prom", text);
  CHECK(has(ticks.tick(), "value 1\n"));
  const auto before = bytes_read();
  CHECK(has(ticks.tick(), "value 1\n"));
  CHECK(bytes_read() - before < text.size() / 2);
  text[6] = '2';  // no other size
  ticks.write("a.prom", text);
  CHECK(has(ticks.tick(), "value 2\n"));
  fs::remove(ticks.host.path(std::string(kFolder) + "a.prom"));
  ticks.tick();
  CHECK_FALSE(has(ticks.tick(), "value"));
}

TEST_CASE("textfile: what the agent itself reports wins over a file") {
  const FileHost host;
  host.write(std::string(kFolder) + "a.prom",
             "node_load1 99\nup 5\nnode_load1{of=\"another\"} 7\nmsp_agent_own 3\n");
  static constexpr metrics::MetricDesc own{"msp_agent_own", "x", "the agent"};
  sources::HostSource source(
      {.collectors = {"textfile", "uname", "loadavg"},
       .paths = host.paths(),
       .options = {},
       .labels = {},
       .host = {.uname = fake_uname, .statvfs = fake_statvfs},
       .self_samples = [&](metrics::SeriesWriter& out) { out.add(own, 1); }});
  const Wakeup wakeup;
  const auto scrape = sources::scrape_now(source, {1, 1'700'000'000'000'000'000}, wakeup);
  std::map<std::string, double> values;
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    const auto& series = *(*scrape.series)[i];
    CHECK(values.emplace(metrics::series_text(series), scrape.values[i]).second);
  }
  CHECK(values["node_load1"] == 0.2);
  CHECK(values["node_load1{of=\"another\"}"] == 7);
  CHECK(values["up"] == 1);
  CHECK(values["msp_agent_own"] == 1);
  CHECK(source.health().duplicates == 3);
}

}  // namespace msp::test
