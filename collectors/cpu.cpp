// cpu: where the time of each cpu went, from /proc/stat (proc(5)), in USER_HZ of a second:
//   cpu0 4557 0 943 122947 28 0 26 17 0 0
// and from /sys/devices/system/cpu (Documentation/ABI/testing/sysfs-devices-system-cpu) how often
// cores and packages were throttled for heat, which cpus are isolated and which are online.
//
// The kernel's counters can step back: idle and iowait are estimates, and a cpu that was unplugged
// may begin anew. A mode that steps back keeps its last value; idle stepping back by 3 s is taken
// for a new beginning, as node_exporter does. What sysfs holds is looked up again only when other
// cpus than before are in /proc/stat, so that a machine without throttle counters pays nothing for
// them at a tick.
#include <array>
#include <optional>
#include <vector>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/numbered_entries.h"

namespace msp {
namespace {

constexpr Family kSeconds{"node_cpu_seconds_total", "Seconds the CPUs spent in each mode.",
                          "/proc/stat", MetricType::counter, "cpu,mode"};
constexpr Family kGuestSeconds{"node_cpu_guest_seconds_total",
                               "Seconds the CPUs spent in guests (VMs) for each mode.",
                               "/proc/stat", MetricType::counter, "cpu,mode"};
constexpr Family kCoreThrottles{"node_cpu_core_throttles_total",
                                "Number of times this CPU core has been throttled.",
                                "/sys/devices/system/cpu/cpuN/thermal_throttle/core_throttle_count",
                                MetricType::counter, "package,core"};
constexpr Family kPackageThrottles{
    "node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.",
    "/sys/devices/system/cpu/cpuN/thermal_throttle/package_throttle_count", MetricType::counter,
    "package"};
constexpr Family kIsolated{
    "node_cpu_isolated",
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
    "/sys/devices/system/cpu/isolated", MetricType::gauge, "cpu"};
constexpr Family kOnline{"node_cpu_online", "CPUs that are online and being scheduled.",
                         "/sys/devices/system/cpu/cpuN/online", MetricType::gauge, "cpu"};

// The columns of /proc/stat. Time in guests is also in user and nice, and has its own metric.
constexpr std::string_view kModes[] = {"user",   "nice", "system",  "idle",
                                       "iowait", "irq",  "softirq", "steal"};
constexpr std::size_t kIdle = 3;
constexpr std::size_t kGuestUser = 8;
constexpr std::size_t kGuestNice = 9;
using Columns = std::array<std::uint64_t, 10>;

constexpr std::uint64_t kUserHz = 100;  // what the kernel shows to programs, whatever its own HZ
constexpr std::uint64_t kNewBeginning = 3 * kUserHz;
constexpr unsigned kCpusMax = 0x10000;
constexpr std::size_t kSysfsBytesMax = 64 * 1024;

double seconds(std::uint64_t user_hz) {
  return static_cast<double>(user_hz) / kUserHz;
}

/// "4557 0 943 122947", as many as the kernel has; those it does not have are 0.
Result<Columns> parse_columns(std::string_view text) {
  Columns columns{};
  std::size_t found = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    while (at != end && (*at == ' ' || *at == '\t')) ++at;
    if (at == end || found == columns.size()) break;
    const auto [after, error] = std::from_chars(at, end, columns[found]);
    if (error != std::errc{} || (after != end && *after != ' ' && *after != '\t')) {
      std::string_view rest(at, static_cast<std::size_t>(end - at));
      return failed(cat("expected a number, got '", next_word(rest), "'"));
    }
    at = after;
    ++found;
  }
  if (found == 0) return failed("expected numbers, got none");
  return columns;
}

void advance(Columns& kept, const Columns& now) {
  if (kept[kIdle] > now[kIdle] && kept[kIdle] - now[kIdle] >= kNewBeginning) kept = {};
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = std::max(kept[i], now[i]);
}

std::optional<std::uint64_t> read_count(const std::string& path) {
  const auto content = read_file(path, kSysfsBytesMax);
  if (!content) return std::nullopt;
  return parse_number<std::uint64_t>(trim(*content));
}

/// "1,4-6": the cpus of a cpulist (Documentation/admin-guide/cputopology.rst).
Result<std::vector<std::string>> parse_cpu_list(std::string_view text) {
  std::vector<std::string> cpus;
  text = trim(text);
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const auto dash = part.find('-');
    const auto first = parse_number<unsigned>(part.substr(0, dash));
    const auto last = dash == part.npos ? first : parse_number<unsigned>(part.substr(dash + 1));
    if (!first || !last || *last >= kCpusMax) {
      return failed(cat("expected a list of cpus such as 1,4-6, got '", part, "'"));
    }
    for (auto cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cat(cpu));
  }
  return cpus;
}

class Cpu : public Collector {
 public:
  explicit Cpu(const CollectorContext& context)
      : stat_(context.files.open(context.paths.proc("stat"), KeptFile::End::short_read)),
        sysfs_(context.paths.sys("devices/system/cpu")),
        isolated_(read_isolated()) {}

  Result<void> collect(const Tick& tick, SampleWriter& out) override {
    if (!isolated_) return isolated_.error();
    const auto content = stat_->read(tick.number);
    if (!content) return content.error();
    if (auto parsed = parse(*content); !parsed) return parsed.error();
    if (keep()) learn_sysfs();
    report(out);
    return {};
  }

 private:
  struct Line {
    std::string_view cpu;  // "0"
    Columns columns;
  };
  struct Times {
    std::string cpu;
    Columns columns{};
  };
  struct Throttle {
    const Family* family;
    std::string package;
    std::string core;  // empty where the package is counted
    KeptFile file;
  };
  struct Online {
    std::string cpu;
    bool online;
  };

  /// Reads the lines of single cpus, which stand at the top, into lines_; they live as long as
  /// `content`.
  Result<void> parse(std::string_view content) {
    lines_.clear();
    std::size_t number = 0;
    while (const auto line = next_line(content)) {
      ++number;
      if (!line->starts_with("cpu")) break;
      auto rest = line->substr(3);
      const auto cpu = next_word(rest);
      if (cpu.data() != line->data() + 3) continue;  // "cpu  10838 0 ...": the sum of all
      if (!parse_number<unsigned>(cpu)) {
        return failed(cat(stat_->path(), " line ", number, ": expected cpu and a number, got 'cpu",
                          cpu, "'"));
      }
      auto columns = parse_columns(rest);
      if (!columns) {
        return failed(cat(stat_->path(), " line ", number, ": ", columns.error().text));
      }
      lines_.push_back({cpu, *columns});
    }
    if (lines_.empty()) return failed(cat(stat_->path(), ": no line of a cpu at its top"));
    return {};
  }

  /// Takes lines_ over into times_. True when the cpus are not those of the last tick.
  bool keep() {
    bool same = lines_.size() == times_.size();
    for (std::size_t i = 0; i < lines_.size() && same; ++i) same = lines_[i].cpu == times_[i].cpu;
    if (!same) {
      std::vector<Times> times;
      for (const auto& line : lines_) {
        const auto known = std::find_if(times_.begin(), times_.end(),
                                        [&](const Times& t) { return t.cpu == line.cpu; });
        times.push_back(known == times_.end() ? Times{std::string(line.cpu)} : *known);
      }
      times_ = std::move(times);
    }
    for (std::size_t i = 0; i < lines_.size(); ++i) advance(times_[i].columns, lines_[i].columns);
    return !same;
  }

  void learn_sysfs() {
    throttles_.clear();
    online_.clear();
    const auto names = numbered_entries(sysfs_, "cpu");
    // Cores and packages have one counter however many cpus they have; an offline cpu has no
    // topology.
    for (const auto& name : names) {
      const auto folder = cat(sysfs_, "/", name);
      const auto package = read_count(folder + "/topology/physical_package_id");
      const auto core = read_count(folder + "/topology/core_id");
      if (!package || !core) continue;
      learn_throttle(kCoreThrottles, cat(*package), cat(*core),
                     folder + "/thermal_throttle/core_throttle_count");
      learn_throttle(kPackageThrottles, cat(*package), "",
                     folder + "/thermal_throttle/package_throttle_count");
    }
    // Where the first cpu cannot go offline, as on most x86 machines, node_exporter is silent on
    // all of them.
    for (const auto& name : names) {
      const auto online = read_count(cat(sysfs_, "/", name, "/online"));
      if (!online && name == names.front()) break;
      online_.push_back({name.substr(3), online == 1});
    }
  }

  void learn_throttle(const Family& family, std::string package, std::string core,
                      std::string path) {
    for (const auto& known : throttles_) {
      if (known.family == &family && known.package == package && known.core == core) return;
    }
    if (!read_count(path)) return;
    throttles_.push_back({&family, std::move(package), std::move(core),
                          KeptFile(std::move(path), KeptFile::End::short_read)});
  }

  void report(SampleWriter& out) {
    for (const auto& [cpu, columns] : times_) {
      for (std::size_t i = 0; i < std::size(kModes); ++i) {
        out.add(kSeconds, {cpu, kModes[i]}, seconds(columns[i]));
      }
      out.add(kGuestSeconds, {cpu, "user"}, seconds(columns[kGuestUser]));
      out.add(kGuestSeconds, {cpu, "nice"}, seconds(columns[kGuestNice]));
    }
    for (const auto& cpu : *isolated_) out.add(kIsolated, {cpu}, 1);
    for (auto& throttle : throttles_) {
      const auto content = throttle.file.read();
      if (!content) continue;  // its cpu has just gone offline
      const auto count = parse_number<std::uint64_t>(trim(*content));
      if (!count) continue;
      const auto value = static_cast<double>(*count);
      if (throttle.family == &kCoreThrottles) {
        out.add(kCoreThrottles, {throttle.package, throttle.core}, value);
      } else {
        out.add(kPackageThrottles, {throttle.package}, value);
      }
    }
    for (const auto& [cpu, online] : online_) out.add(kOnline, {cpu}, online ? 1 : 0);
  }

  /// Set by the kernel's command line: once is enough.
  Result<std::vector<std::string>> read_isolated() const {
    const auto path = sysfs_ + "/isolated";
    const auto content = read_file(path, kSysfsBytesMax);
    if (!content && content.error().kind == Error::Kind::no_data) return std::vector<std::string>{};
    if (!content) return content.error();
    auto cpus = parse_cpu_list(*content);
    if (!cpus) return failed(cat(path, ": ", cpus.error().text));
    return cpus;
  }

  std::shared_ptr<KeptFile> stat_;
  std::string sysfs_;
  Result<std::vector<std::string>> isolated_;
  std::vector<Line> lines_;   // of this tick
  std::vector<Times> times_;  // as reported, in the order of /proc/stat
  std::vector<Throttle> throttles_;
  std::vector<Online> online_;
};

}  // namespace

std::unique_ptr<Collector> make_cpu(const CollectorContext& context) {
  return std::make_unique<Cpu>(context);
}

}  // namespace msp
