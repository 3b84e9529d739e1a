// stat: the lines of /proc/stat that are about the whole system (proc(5)), and the first number of
// /proc/uptime:
//   intr 215555 0 0 0 9 ...       a number per interrupt line follows, tens of kilobytes on a large machine
//   ctxt 365165
//   btime 1795252125
//   processes 5489
//   procs_running 1
//   procs_blocked 0
// A line that the kernel does not have is left out. Time per cpu is cpu's.
#include <algorithm>
#include <bitset>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/proc_stat.h"

namespace msp::collectors {
namespace {

struct Key {
  std::string_view name;
  MetricDesc family;
};

// In the order of /proc/stat.
constexpr Key kKeys[] = {
    {"intr",
     {"node_intr_total", "Total number of interrupts serviced.", "/proc/stat",
      MetricType::counter}},
    {"ctxt",
     {"node_context_switches_total", "Total number of context switches.", "/proc/stat",
      MetricType::counter}},
    {"btime", {"node_boot_time_seconds", "Node boot time, in unixtime.", "/proc/stat"}},
    {"processes",
     {"node_forks_total", "Total number of forks.", "/proc/stat", MetricType::counter}},
    {"procs_running",
     {"node_procs_running", "Number of processes in runnable state.", "/proc/stat"}},
    {"procs_blocked",
     {"node_procs_blocked", "Number of processes blocked waiting for I/O to complete.",
      "/proc/stat"}},
};

constexpr MetricDesc kUptime{"node_uptime_seconds", "Time since the node booted, in seconds.",
                             "/proc/uptime"};

class Stat : public Collector {
 public:
  explicit Stat(const CollectorContext& context)
      : stat_(context.files.open(context.paths.proc("stat"), KeptFile::End::short_read)),
        uptime_(context.files.open(context.paths.proc("uptime"), KeptFile::End::short_read)) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    if (auto collected = collect_stat(tick, out); !collected) return collected;
    collect_uptime(tick, out);
    return {};
  }

 private:
  Result<void> collect_stat(const Tick& tick, SeriesWriter& out) {
    const auto content = stat_->read(tick.number);
    if (!content) return content.error();
    std::bitset<std::size(kKeys)> is_found;
    auto rest = *content;
    while (auto line = next_line(rest)) {
      if (line->starts_with("cpu")) continue;
      const auto name = next_word(*line);
      const auto* const key = std::find_if(std::begin(kKeys), std::end(kKeys),
                                           [&](const Key& known) { return known.name == name; });
      if (key == std::end(kKeys)) {
        if (can_be_line_name(name)) continue;
        out.complaints().garbled(stat_->path(), name, "the name of a line", {"a line"});
        continue;
      }
      const auto index = static_cast<std::size_t>(key - kKeys);
      if (is_found[index]) {
        out.complaints().repeated(stat_->path(), name);
        continue;
      }
      is_found.set(index);
      const auto word = next_word(*line);
      if (const auto value = parse_number<std::uint64_t>(word)) {
        out.add(key->family, static_cast<double>(*value));
      } else {
        out.complaints().garbled(stat_->path(), word, "a count", {key->family.name});
      }
    }
    if (is_found.none() || out.samples() == 0) {
      return failed(
          cat(stat_->path(), ": none of intr, ctxt, btime, processes has a count", got(*content)));
    }
    return {};
  }

  void collect_uptime(const Tick& tick, SeriesWriter& out) {
    const auto content = uptime_->read(tick.number);
    if (!content && content.error().kind == Error::Kind::no_data) return;
    if (!content) {
      out.complaints().unreadable(uptime_->path(), content.error(), {kUptime.name});
      return;
    }
    auto rest = trim(*content);  // "1286.34 2430.18": up, and the cpus' idle time together
    const auto word = next_word(rest);
    if (const auto seconds = parse_amount(word)) {
      out.add(kUptime, *seconds);
    } else {
      out.complaints().garbled(uptime_->path(), word, "a number of 0 or more", {kUptime.name});
    }
  }

  std::shared_ptr<KeptFile> stat_;
  std::shared_ptr<KeptFile> uptime_;
};

}  // namespace

CollectorType stat_collector() {
  return {make_collector<Stat>};
}

}  // namespace msp::collectors
