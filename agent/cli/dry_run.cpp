// msp-agent --dry-run: one scrape as Prometheus text on stdout, with the labels that would be sent;
// or, with --diff, what changed between two. Comments at its end say what is not there, and why:
// collectors without data, what they leave out as garbled, what filters leave out, what is more than
// the buffer keeps.
//
// The text format lets a label's value hold any character but a line break, and a mount point may be
// named by a user. Into a file or a pipe the samples go as they would be sent, byte for byte. On a
// terminal, and always in comments and with --diff, what is not printable is escaped.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/cli/commands.h"
#include "agent/metrics/exposition.h"
#include "agent/queue/scrape_codec.h"
#include "agent/run/agent.h"
#include "collectors/registry.h"

namespace msp::cli {
namespace {

constexpr std::chrono::seconds kApart{1};

/// Puts `names` in the configuration's place, or says which of them is unknown.
bool choose_collectors(const std::vector<std::string>& names, config::Config& config) {
  const auto known = collectors::collector_names();
  for (const auto& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const auto meant = nearest(name, known);
    log_error(cat("--collectors: there is no collector '", name, "'",
                  meant.empty() ? "; `msp-agent collectors` lists them"
                                : cat("; did you mean ", meant, "?")));
    return false;
  }
  if (!names.empty()) config.collectors = names;
  return true;
}

std::string change_text(const metrics::Series& series, double before, double now, double seconds) {
  const auto rate = [&] {
    return metrics::text_value(std::round((now - before) / seconds * 1e3) / 1e3);
  };
  const bool is_counter = series.desc && series.desc->type == metrics::MetricType::counter;
  return cat("  ", metrics::series_text(series), " ", metrics::text_value(before), " -> ",
             metrics::text_value(now), is_counter ? cat(" (", rate(), " per second)") : "", "\n");
}

struct Difference {
  std::string text;  // a line for each series that changed, came (+) or went (-)
  std::size_t changed = 0;
  std::size_t same = 0;

  void add(const metrics::Scrape& before, const metrics::Scrape& now);
};

double seconds_between(const metrics::Scrape& before, const metrics::Scrape& now) {
  return static_cast<double>(now.timestamp_ms - before.timestamp_ms) / 1e3;
}

void Difference::add(const metrics::Scrape& before, const metrics::Scrape& now) {
  std::map<std::string_view, double> values;
  for (std::size_t i = 0; i < before.values.size(); ++i) {
    values.emplace((*before.series)[i]->labels.flat(), before.values[i]);
  }
  for (std::size_t i = 0; i < now.values.size(); ++i) {
    const auto& series = *(*now.series)[i];
    const auto value = now.values[i];
    const auto found = values.find(series.labels.flat());
    if (metrics::is_stale_marker(value)) {
      text += cat("- ", metrics::series_text(series), "\n");
    } else if (found == values.end()) {
      text += cat("+ ", metrics::series_text(series), " ", metrics::text_value(value), "\n");
    } else if (found->second != value) {
      ++changed;
      text += change_text(series, found->second, value, seconds_between(before, now));
    } else {
      ++same;
    }
  }
}

/// The scrapes of two ticks, source by source, and a last line that counts.
std::string diff(const std::vector<metrics::Scrape>& before,
                 const std::vector<metrics::Scrape>& now) {
  Difference difference;
  for (std::size_t i = 0; i < now.size(); ++i) difference.add(before[i], now[i]);
  return cat(difference.text, "# ", difference.changed, " changed in ",
             metrics::text_value(seconds_between(before.front(), now.front())), " s, ",
             difference.same, " stayed the same\n");
}

/// A line for a person to read.
std::string comment(std::string_view text) {
  return cat("# ", log_text(text), "\n");
}

/// Notes what the filters of the collectors refuse.
class LeftOut {
 public:
  explicit LeftOut(const config::Config& config) {
    for (const auto& [collector, options] : config.collector_options) {
      for (const auto& key : options.keys()) {
        const auto* const regex = std::get_if<key_type::Regex>(&key.type);
        if (regex == nullptr || regex->use != PatternUse::exclude) continue;
        const auto stem = key.name.substr(0, key.name.rfind('_'));
        watch(cat(collector, ".", stem, "_*"),
              *static_cast<Filter*>(key.field(options.values(), key.name)));
      }
    }
  }

  std::string comments() const {
    constexpr std::size_t kShownMax = 10;
    constexpr std::size_t kNameBytesMax = 60;
    std::string text;
    for (const auto& [keys, names] : names_) {
      if (names.empty()) continue;
      std::string shown;
      std::size_t count = 0;
      for (const auto& name : names) {
        if (count++ == kShownMax) break;
        shown += cat(shown.empty() ? "" : ", ", visible(name, kNameBytesMax));
      }
      if (names.size() > kShownMax) shown += cat(" and ", names.size() - kShownMax, " more");
      text += comment(cat("left out by collectors.", keys, ": ", shown));
    }
    return text;
  }

 private:
  void watch(const std::string& keys, Filter& filter) {
    auto& names = names_[keys];  // stays where it is
    filter = Filter([wanted = filter, &names](std::string_view name) {
      const bool is_wanted = wanted(name);
      if (!is_wanted) names.emplace(name);
      return is_wanted;
    });
  }

  std::map<std::string, std::set<std::string>> names_;
};

/// Why a scrape like this one would not live through an outage; empty: it would.
std::string limit_comments(const std::vector<metrics::Scrape>& scrapes) {
  std::string text;
  for (const auto& scrape : scrapes) {
    std::string records;
    const auto encoded = queue::ScrapeEncoder().encode(1, scrape, records);
    if (encoded) continue;
    text += comment(cat("dropped where it cannot be sent at once: all ",
                        grouped(scrape.values.size()), " samples of ", scrape.stream->name, ": ",
                        encoded.error().text, "; leave out devices or mount points"));
  }
  return text;
}

}  // namespace

int dry_run(const GlobalOptions& options, const DryRunOptions& wanted) {
  auto config = load_config_or_tell(options);
  if (!config) return kExitBadConfig;
  if (!choose_collectors(wanted.collectors, *config)) return kExitBadUsage;
  if (options.log_level) init_log(*options.log_level);
  const LeftOut left_out(*config);
  std::string failures;
  const auto collected = run::collect(
      *config, options.paths, wanted.diff ? 2 : 1, kApart,
      [&](std::string_view collector, const Error* error) {
        if (error == nullptr) return;
        const bool is_missing = error->kind == Error::Kind::no_data;
        if (!is_missing) log_warning(cat(collector, ": ", error->text));
        failures +=
            comment(cat(collector, is_missing ? ": no data here: " : ": failed: ", error->text));
      },
      [&](std::string_view collector, std::string_view text, bool is_over) {
        if (!is_over) log_warning(cat(collector, ": ", text));
        failures += comment(cat(collector, ": ", text));
      });
  const auto& scrapes = collected.ticks;
  auto samples = wanted.diff ? diff(scrapes[0], scrapes[1]) : metrics::text_format(scrapes[0]);
  if (wanted.diff || ::isatty(STDOUT_FILENO) != 0) samples = visible_lines(samples);
  const auto text = cat(samples, failures, left_out.comments(), limit_comments(scrapes.back()));
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (written) return kExitDone;
  log_error(cat("cannot write to standard output: ", errno_text(errno)));
  return kExitFailed;
}

}  // namespace msp::cli
