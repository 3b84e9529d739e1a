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
#include <algorithm>
#include <array>
#include <bitset>
#include <optional>
#include <tuple>
#include <vector>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/number_file.h"
#include "collectors/numbered_entries.h"
#include "collectors/proc_stat.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kSeconds{"node_cpu_seconds_total", "Seconds the CPUs spent in each mode.",
                              "/proc/stat", MetricType::counter, "cpu,mode"};
constexpr MetricDesc kGuestSeconds{"node_cpu_guest_seconds_total",
                                   "Seconds the CPUs spent in guests (VMs) for each mode.",
                                   "/proc/stat", MetricType::counter, "cpu,mode"};
constexpr MetricDesc kCoreThrottles{
    "node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.",
    "/sys/devices/system/cpu/cpuN/thermal_throttle/core_throttle_count", MetricType::counter,
    "package,core"};
constexpr MetricDesc kPackageThrottles{
    "node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.",
    "/sys/devices/system/cpu/cpuN/thermal_throttle/package_throttle_count", MetricType::counter,
    "package"};
constexpr MetricDesc kIsolated{
    "node_cpu_isolated",
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
    "/sys/devices/system/cpu/isolated", MetricType::gauge, "cpu"};
constexpr MetricDesc kOnline{"node_cpu_online", "CPUs that are online and being scheduled.",
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

double seconds(std::uint64_t user_hz) {
  return static_cast<double>(user_hz) / kUserHz;
}

/// Which columns are garbled, by number.
using Garbled = std::bitset<std::tuple_size_v<Columns>>;

/// The metric of a column and its mode.
struct Mode {
  const MetricDesc& family;
  std::string_view name;
};

Mode mode_of(std::size_t column) {
  if (column == kGuestUser) return {kGuestSeconds, "user"};
  if (column == kGuestNice) return {kGuestSeconds, "nice"};
  return {kSeconds, kModes[column]};
}

void advance(Columns& kept, const Columns& now, const Garbled& garbled) {
  const bool is_new =
      !garbled[kIdle] && kept[kIdle] > now[kIdle] && kept[kIdle] - now[kIdle] >= kNewBeginning;
  if (is_new) kept = {};
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (!garbled[i]) kept[i] = std::max(kept[i], now[i]);
  }
}

/// "1,4-6": the cpus of a cpulist (Documentation/admin-guide/cputopology.rst) in their order, into
/// `cpus`. False where it is none.
bool parse_cpu_list(std::string_view text, std::vector<unsigned>& cpus) {
  cpus.clear();
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const auto dash = part.find('-');
    const auto first = parse_number<unsigned>(part.substr(0, dash));
    const auto last = dash == part.npos ? first : parse_number<unsigned>(part.substr(dash + 1));
    if (!first || !last || *first > *last || *last >= kCpusMax) return false;
    for (auto cpu = *first; cpu <= *last && cpus.size() <= kCpusMax; ++cpu) cpus.push_back(cpu);
  }
  if (cpus.size() > kCpusMax) return false;
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return true;
}

class Cpu : public Collector {
 public:
  explicit Cpu(const CollectorContext& context)
      : stat_(context.files.open(context.paths.proc("stat"), KeptFile::End::short_read)),
        sysfs_(context.paths.sys("devices/system/cpu")),
        isolated_file_(sysfs_ + "/isolated", KeptFile::End::short_read) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = stat_->read(tick.number);
    if (!content) return content.error();
    parse(*content, out.complaints());
    if (lines_.empty()) {
      return failed(cat(stat_->path(), ": no line of a cpu at its top", got(*content)));
    }
    const bool has_changed = keep(out.complaints());
    if (has_changed || is_garbled_no_more()) learn_sysfs();
    if (!is_isolated_known_) learn_isolated(out.complaints());
    report(out);
    return {};
  }

 private:
  struct Line {
    std::string_view cpu;  // "0"
    Columns columns;
    Garbled garbled;
  };
  struct Times {
    std::string cpu;
    Columns columns{};
    Garbled garbled{};  // in this tick
  };
  struct Throttle {
    const MetricDesc* family;
    std::string package;
    std::string core;  // empty where the package is counted
    NumberFile file;
  };
  struct Online {
    std::string cpu;
    NumberFile file;
    NumberFile::Reading reading = {};

    NumberFile::Reading read() {
      auto now = file.read(false);
      if (now.number > 1) now.state = NumberFile::State::garbled;
      return now;
    }
  };
  /// A file of a cpu's topology that is no number, and the counters that cannot be told whose they
  /// are without it.
  struct Unnamed {
    std::string cpu;
    NumberFile file;
    NumberFile::Reading reading = {};

    NumberFile::Reading read() { return file.read(false); }
  };

  /// Reads the lines of single cpus, which stand at the top, into lines_; they live as long as
  /// `content`.
  void parse(std::string_view content, metrics::Complaints& complaints) {
    lines_.clear();
    std::string_view stray;  // a line that a kernel could have, but not among those of the cpus
    while (const auto line = next_line(content)) {
      if (line->starts_with("intr ")) return;
      if (!line->starts_with("cpu")) {
        auto rest = *line;
        if (can_be_line_name(next_word(rest))) {
          stray = *line;
        } else {
          complaints.garbled(stat_->path(), *line, "the line of a cpu", {"a line"});
        }
        continue;
      }
      if (!stray.empty()) {
        complaints.garbled(stat_->path(), stray, "the line of a cpu", {"a line"});
        stray = {};
      }
      auto rest = line->substr(3);
      const auto cpu = next_word(rest);
      if (cpu.data() != line->data() + 3) continue;  // "cpu  10838 0 ...": the sum of all
      if (!parse_number<unsigned>(cpu)) {
        complaints.garbled(stat_->path(), *line, "the line of a cpu", {"a line"});
        continue;
      }
      Line parsed{cpu, {}, {}};
      if (parse_columns(rest, parsed, complaints)) {
        lines_.push_back(parsed);
      } else {
        complaints.garbled(stat_->path(), *line, "the line of a cpu", {"a line"});
      }
    }
  }

  /// "4557 0 943 122947", as many as the kernel has; those it does not have are 0. False where it
  /// has none.
  bool parse_columns(std::string_view text, Line& line, metrics::Complaints& complaints) const {
    std::size_t found = 0;
    const char* at = text.data();
    const char* const end = at + text.size();
    for (; found != line.columns.size(); ++found) {
      while (at != end && (*at == ' ' || *at == '\t')) ++at;
      if (at == end) break;
      const auto [after, error] = std::from_chars(at, end, line.columns[found]);
      if (error == std::errc{} && (after == end || *after == ' ' || *after == '\t')) {
        at = after;
        continue;
      }
      std::string_view rest(at, static_cast<std::size_t>(end - at));
      const auto word = next_word(rest);
      const auto mode = mode_of(found);
      line.garbled.set(found);
      complaints.garbled(stat_->path(), word, "a count",
                         {mode.family.name, {"cpu", line.cpu, " ", mode.name}});
      at = rest.data();
    }
    return found > 0;
  }

  /// Takes lines_ over into times_; of two for one cpu the first. True when the cpus are not those
  /// of the last tick.
  bool keep(metrics::Complaints& complaints) {
    bool is_same = true;
    std::size_t kept = 0;
    for (const auto& line : lines_) {
      if (kept >= times_.size() || times_[kept].cpu != line.cpu) {
        const auto is_it = [&](const Line& other) { return other.cpu == line.cpu; };
        const auto end = lines_.begin() + static_cast<std::ptrdiff_t>(kept);
        if (std::any_of(lines_.begin(), end, is_it)) {
          complaints.repeated(stat_->path(), line.cpu);
          continue;
        }
        is_same = false;
      }
      lines_[kept++] = line;
    }
    lines_.resize(kept);
    is_same = is_same && kept == times_.size();
    if (!is_same) {
      std::vector<Times> times;
      for (const auto& line : lines_) {
        const auto known = std::find_if(times_.begin(), times_.end(),
                                        [&](const Times& t) { return t.cpu == line.cpu; });
        times.push_back(known == times_.end() ? Times{std::string(line.cpu)} : *known);
      }
      times_ = std::move(times);
    }
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      advance(times_[i].columns, lines_[i].columns, lines_[i].garbled);
      times_[i].garbled = lines_[i].garbled;
    }
    return !is_same;
  }

  void learn_sysfs() {
    throttles_.clear();
    online_.clear();
    unnamed_.clear();
    const auto names = numbered_entries(sysfs_, "cpu");
    // Cores and packages have one counter however many cpus they have; an offline cpu has no
    // topology.
    for (const auto& name : names) {
      const auto folder = cat(sysfs_, "/", name);
      const auto package = read_topology(name, folder + "/topology/physical_package_id");
      const auto core = read_topology(name, folder + "/topology/core_id");
      if (!package || !core) continue;
      learn_throttle(kCoreThrottles, cat(*package), cat(*core),
                     folder + "/thermal_throttle/core_throttle_count");
      learn_throttle(kPackageThrottles, cat(*package), "",
                     folder + "/thermal_throttle/package_throttle_count");
    }
    // Where the first cpu cannot go offline, as on most x86 machines, node_exporter is silent on
    // all of them.
    for (const auto& name : names) {
      Online online{name.substr(3), NumberFile(cat(sysfs_, "/", name, "/online"))};
      online.reading = online.read();
      const bool is_missing = online.reading.state == NumberFile::State::missing;
      if (is_missing && name == names.front()) break;
      online_.push_back(std::move(online));
    }
  }

  /// Whether a file that had no number when it was learned has one now.
  bool is_garbled_no_more() {
    using enum NumberFile::State;
    const auto is_cured = [](auto& learned) {
      const auto state = learned.reading.state;
      if (state != garbled && state != unreadable) return false;
      learned.reading = learned.read();
      return learned.reading.state == number;
    };
    return std::any_of(unnamed_.begin(), unnamed_.end(), is_cured) ||
           std::any_of(online_.begin(), online_.end(), is_cured);
  }

  std::optional<std::uint64_t> read_topology(const std::string& cpu, std::string path) {
    NumberFile file(std::move(path));
    const auto reading = file.read(false);
    if (reading.state == NumberFile::State::number) return reading.number;
    // Some platforms do not know their packages and say so by -1.
    if (reading.state != NumberFile::State::missing && file.text() != "-1") {
      unnamed_.push_back({cpu, std::move(file), reading});
    }
    return std::nullopt;
  }

  void learn_throttle(const MetricDesc& family, std::string package, std::string core,
                      std::string path) {
    for (const auto& known : throttles_) {
      if (known.family == &family && known.package == package && known.core == core) return;
    }
    NumberFile file(std::move(path));
    if (file.read(false).state == NumberFile::State::missing) return;
    throttles_.push_back({&family, std::move(package), std::move(core), std::move(file)});
  }

  /// Set by the kernel's command line: once it could be read, that is enough.
  void learn_isolated(metrics::Complaints& complaints) {
    const auto content = isolated_file_.read();
    if (!content && content.error().kind != Error::Kind::no_data) {
      complaints.unreadable(isolated_file_.path(), content.error(), {kIsolated.name});
      return;
    }
    const auto text = content ? trim(*content) : "";
    std::vector<unsigned> cpus;
    if (!parse_cpu_list(text, cpus)) {
      complaints.garbled(isolated_file_.path(), text, "a list of CPUs", {kIsolated.name});
      return;
    }
    for (const auto cpu : cpus) isolated_.push_back(cat(cpu));
    isolated_file_.close();
    is_isolated_known_ = true;
  }

  void report(SeriesWriter& out) {
    for (const auto& [cpu, columns, garbled] : times_) {
      for (std::size_t i = 0; i < std::size(kModes); ++i) {
        if (!garbled[i]) out.add(kSeconds, {cpu, kModes[i]}, seconds(columns[i]));
      }
      if (!garbled[kGuestUser]) out.add(kGuestSeconds, {cpu, "user"}, seconds(columns[kGuestUser]));
      if (!garbled[kGuestNice]) out.add(kGuestSeconds, {cpu, "nice"}, seconds(columns[kGuestNice]));
    }
    for (const auto& cpu : isolated_) out.add(kIsolated, {cpu}, 1);
    report_throttles(out);
    for (const auto& [cpu, file, reading] : online_) {
      switch (reading.state) {
        case NumberFile::State::number:
          out.add(kOnline, {cpu}, static_cast<double>(reading.number));
          break;
        case NumberFile::State::missing:
          out.add(kOnline, {cpu}, 0);  // as node_exporter does
          break;
        default:
          complain(out.complaints(), file, reading, {kOnline.name, {"cpu", cpu}});
      }
    }
    for (const auto& [cpu, file, reading] : unnamed_) {
      complain(out.complaints(), file, reading, {kCoreThrottles.name, {cpu}});
    }
  }

  void report_throttles(SeriesWriter& out) {
    std::size_t files = 0;
    for (auto& [family, package, core, file] : throttles_) {
      const auto reading = file.read(files++ < NumberFile::kKeptMax);
      if (reading.state != NumberFile::State::number) {
        complain(out.complaints(), file, reading,
                 {family->name, {"package ", package, core.empty() ? "" : " core ", core}});
        // Its cpu has just gone offline, and may be back before another is missed.
        if (reading.state == NumberFile::State::missing) file.forget();
        continue;
      }
      const auto count = static_cast<double>(reading.number);
      if (family == &kCoreThrottles) {
        out.add(kCoreThrottles, {package, core}, count);
      } else {
        out.add(kPackageThrottles, {package}, count);
      }
    }
  }

  std::shared_ptr<KeptFile> stat_;
  std::string sysfs_;
  KeptFile isolated_file_;
  bool is_isolated_known_ = false;
  std::vector<std::string> isolated_;
  std::vector<Line> lines_;   // of this tick
  std::vector<Times> times_;  // as reported, in the order of /proc/stat
  std::vector<Throttle> throttles_;
  std::vector<Online> online_;
  std::vector<Unnamed> unnamed_;
};

}  // namespace

CollectorType cpu_collector() {
  return {make_collector<Cpu>};
}

}  // namespace msp::collectors
