// stat: the lines of /proc/stat that are about the whole system (proc(5)), and the first number of
// /proc/uptime:
//   intr 215555 0 0 0 9 ...       a number per interrupt line follows, tens of kilobytes on a large
//   machine ctxt 365165 btime 1795252125 processes 5489 procs_running 1 procs_blocked 0
// A line that the kernel does not have is left out. Time per cpu is cpu's.
#include "agent/base/text.h"
#include "collectors/collector.h"

namespace msp {
namespace {

struct Key {
  std::string_view name;  // with the space behind it
  Family family;
};

// In the order of /proc/stat.
constexpr Key kKeys[] = {
    {"intr ",
     {"node_intr_total", "Total number of interrupts serviced.", "/proc/stat",
      MetricType::counter}},
    {"ctxt ",
     {"node_context_switches_total", "Total number of context switches.", "/proc/stat",
      MetricType::counter}},
    {"btime ", {"node_boot_time_seconds", "Node boot time, in unixtime.", "/proc/stat"}},
    {"processes ",
     {"node_forks_total", "Total number of forks.", "/proc/stat", MetricType::counter}},
    {"procs_running ",
     {"node_procs_running", "Number of processes in runnable state.", "/proc/stat"}},
    {"procs_blocked ",
     {"node_procs_blocked", "Number of processes blocked waiting for I/O to complete.",
      "/proc/stat"}},
};

constexpr Family kUptime{"node_uptime_seconds", "Time since the node booted, in seconds.",
                         "/proc/uptime"};

class Stat : public Collector {
 public:
  explicit Stat(const CollectorContext& context)
      : stat_(context.files.open(context.paths.proc("stat"), KeptFile::End::short_read)),
        uptime_(context.files.open(context.paths.proc("uptime"), KeptFile::End::short_read)) {}

  Result<void> collect(const Tick& tick, SampleWriter& out) override {
    auto collected = collect_stat(tick, out);
    if (!collected) return collected;
    return collect_uptime(tick, out);
  }

 private:
  Result<void> collect_stat(const Tick& tick, SampleWriter& out) {
    const auto content = stat_->read(tick.number);
    if (!content) return content.error();
    bool found = false;
    auto rest = *content;
    while (const auto line = next_line(rest)) {
      if (line->starts_with("cpu")) continue;
      for (const auto& key : kKeys) {
        if (!line->starts_with(key.name)) continue;
        auto numbers = line->substr(key.name.size());
        const auto word = next_word(numbers);
        const auto value = parse_number<std::uint64_t>(word);
        if (!value) {
          return failed(cat(stat_->path(), ": expected a number behind ", trim(key.name), ", got '",
                            word, "'"));
        }
        out.add(key.family, static_cast<double>(*value));
        found = true;
        break;
      }
    }
    if (!found) return failed(cat(stat_->path(), ": none of intr, ctxt, btime, processes"));
    return {};
  }

  Result<void> collect_uptime(const Tick& tick, SampleWriter& out) {
    const auto content = uptime_->read(tick.number);
    if (!content && content.error().kind == Error::Kind::no_data) return {};
    if (!content) return content.error();
    auto rest = *content;  // "1286.34 2430.18": up, and the cpus' idle time together
    const auto seconds = parse_number<double>(next_word(rest));
    if (!seconds) {
      return failed(cat(uptime_->path(), ": expected 2 numbers, got '", trim(*content), "'"));
    }
    out.add(kUptime, *seconds);
    return {};
  }

  std::shared_ptr<KeptFile> stat_;
  std::shared_ptr<KeptFile> uptime_;
};

}  // namespace

std::unique_ptr<Collector> make_stat(const CollectorContext& context) {
  return std::make_unique<Stat>(context);
}

}  // namespace msp
