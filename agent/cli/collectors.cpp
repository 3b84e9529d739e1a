// msp-agent collectors: the list, which of them are on where the configuration does not say
// otherwise, and what each of them, on or off, gives on this host: how many series, and how long a
// tick of it takes. What one may read is the caller's affair: the agent's user may read less than
// root.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "agent/base/json.h"
#include "agent/base/text.h"
#include "agent/cli/commands.h"
#include "agent/run/agent.h"
#include "collectors/registry.h"

namespace msp::cli {
namespace {

// For its options, where there is no configuration that can be used.
constexpr const char* kAnyConfig =
    "customer_id: any\nserver_name: any\nremote_write: {url: http://localhost/}\n";

const collectors::CollectorEntry& entry_of(std::string_view name) {
  return *std::ranges::find(collectors::collector_registry(), name,
                            &collectors::CollectorEntry::name);
}

std::string result_text(const run::CollectorReport& report) {
  if (!report.has_data) return cat("no data: ", log_text(report.error));
  if (!report.success) return cat("fails: ", log_text(report.error));
  return cat(report.series, " series, ", std::llround(report.seconds * 1e6), " µs");
}

std::string list(const std::vector<run::CollectorReport>& reports, const config::Config& config) {
  std::size_t width = 0;
  for (const auto name : collectors::collector_names()) width = std::max(width, name.size());
  std::string text;
  for (const auto& report : reports) {
    const auto& entry = entry_of(report.name);
    const auto interval = entry.type.costly.empty() ? config.interval : config.costly_interval;
    text += report.name;
    text.append(width - report.name.size(), ' ');
    auto every = cat("every ", duration_text(std::chrono::nanoseconds(interval).count()));
    every.resize(std::max<std::size_t>(every.size(), 14), ' ');
    text += cat(entry.default_on ? " on   " : " off  ", every, " ", result_text(report), "\n");
  }
  return text;
}

std::string json(const std::vector<run::CollectorReport>& reports, const config::Config& config,
                 const std::vector<std::string>& running) {
  JsonWriter out;
  out.open_list("collectors");
  for (const auto& report : reports) {
    const auto& entry = entry_of(report.name);
    const bool is_costly = !entry.type.costly.empty();
    const auto interval = is_costly ? config.costly_interval : config.interval;
    out.open_object();
    out.add("name", report.name);
    out.add("default_on", entry.default_on);
    out.add("runs", std::ranges::find(running, report.name) != running.end());
    out.add("interval_seconds", static_cast<double>(interval.count()) / 1000);
    out.add("success", report.success);
    out.add("has_data", report.has_data);
    out.add("series", report.series);
    out.add("duration_seconds", report.seconds);
    out.add("error", report.error);
    out.close();
  }
  out.close();
  return out.finish();
}

}  // namespace

int list_collectors(const GlobalOptions& options, bool as_json) {
  auto outcome = config::load_config(options.config);
  if (!outcome.errors.empty()) outcome = config::parse_config(kAnyConfig, "any");
  auto& config = outcome.config;
  const auto running = std::exchange(config.collectors, {collectors::collector_names().begin(),
                                                         collectors::collector_names().end()});
  config.scrape.clear();
  config.probes.clear();
  config.series_max = metrics::kSeriesMaxEnd;
  // Of two ticks the second, as the agent makes them: what stays open is open.
  const auto collected = run::collect(
      config, options.paths, 2, {}, [](std::string_view, const Error*) {},
      [](std::string_view, std::string_view, bool) {});
  const auto text =
      as_json ? json(collected.collectors, config, running) : list(collected.collectors, config);
  const bool is_written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return is_written ? kExitDone : kExitFailed;
}

}  // namespace msp::cli
