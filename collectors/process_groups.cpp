// process_groups: what groups of processes use together, with process-exporter's names and its rules for
// which process belongs to which group, from /proc/PID/stat of each process (proc(5)),
//   811 (nginx: worker) S 810 810 810 0 -1 4194624 1203 0 4 0 88 41 0 0 20 0 3 0 7044 ...
// and, of those that are in a group, /proc/PID/status. /proc/PID/cmdline is read once per process.
//
// Counters of a group never sink: what a process has counted stays when it ends. A process that was there
// before the first look counts from then on, one that began later in full; one that comes and goes between
// two looks is not seen. What only root may read of other users' processes (io, fd, smaps) is not sent.
//
// A file per process takes long on a large machine: off by default, and read in a thread of its own.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/regex.h"
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/process_line.h"
#include "collectors/slow_reading.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc family(std::string_view name, std::string_view help, std::string_view source,
                            MetricType type = MetricType::gauge,
                            std::string_view labels = "groupname") {
  return {name, help, source, type, labels};
}
constexpr std::string_view kStat = "/proc/PID/stat", kStatus = "/proc/PID/status";
constexpr auto kProcesses =
    family("namedprocess_namegroup_num_procs", "number of processes in this group", kStat);
constexpr auto kCpu =
    family("namedprocess_namegroup_cpu_seconds_total", "Cpu user usage in seconds", kStat,
           MetricType::counter, "groupname,mode");
constexpr auto kMajorFaults = family("namedprocess_namegroup_major_page_faults_total",
                                     "Major page faults", kStat, MetricType::counter);
constexpr auto kMinorFaults = family("namedprocess_namegroup_minor_page_faults_total",
                                     "Minor page faults", kStat, MetricType::counter);
constexpr auto kSwitches =
    family("namedprocess_namegroup_context_switches_total", "Context switches", kStatus,
           MetricType::counter, "groupname,ctxswitchtype");
constexpr auto kMemory =
    family("namedprocess_namegroup_memory_bytes", "number of bytes of memory in use",
           "/proc/PID/stat, /proc/PID/status", MetricType::gauge, "groupname,memtype");
constexpr auto kOldest = family("namedprocess_namegroup_oldest_start_time_seconds",
                                "start time in seconds since 1970/01/01 of oldest process in group",
                                "/proc/PID/stat, /proc/stat");
constexpr auto kThreads = family("namedprocess_namegroup_num_threads", "Number of threads", kStat);
constexpr auto kStates =
    family("namedprocess_namegroup_states",
           "Number of processes in states Running, Sleeping, Waiting, Zombie, or Other", kStat,
           MetricType::gauge, "groupname,state");

constexpr std::size_t kGroupsMax = 200;
constexpr std::size_t kStackBytes = 128 << 10;  // RE2 runs in it

struct GroupRule {
  std::string name;
  std::vector<std::string> comm, exe, cmdline;
  friend bool operator==(const GroupRule&, const GroupRule&) = default;
};

struct Options {
  std::vector<GroupRule> groups;
  friend bool operator==(const Options&, const Options&) = default;
};

/// A part of a name: a text, or what stands in its place for each process.
struct NamePart {
  enum class Kind { text, comm, exe_base, exe_full, match };
  Kind kind = Kind::text;
  std::string text;  // of a match its name
};

/// Nothing where it is no template that is known here.
std::optional<std::vector<NamePart>> parse_name(std::string_view name) {
  using Kind = NamePart::Kind;
  std::vector<NamePart> parts;
  while (!name.empty()) {
    const auto begin = name.find("{{");
    if (begin != 0) {
      parts.push_back({Kind::text, std::string(name.substr(0, begin))});
      name.remove_prefix(std::min(begin, name.size()));
      continue;
    }
    const auto end = name.find("}}");
    if (end == name.npos) return std::nullopt;
    const auto field = trim(name.substr(2, end - 2));
    name.remove_prefix(end + 2);
    constexpr std::string_view kMatches = ".Matches.";
    if (field == ".Comm") {
      parts.push_back({Kind::comm, {}});
    } else if (field == ".ExeBase") {
      parts.push_back({Kind::exe_base, {}});
    } else if (field == ".ExeFull") {
      parts.push_back({Kind::exe_full, {}});
    } else if (field.starts_with(kMatches) && field.size() > kMatches.size()) {
      parts.push_back({Kind::match, std::string(field.substr(kMatches.size()))});
    } else {
      return std::nullopt;
    }
  }
  return parts;
}

/// Anywhere in a text, as Go's FindStringSubmatch.
Result<WholeRegex> compile(std::string_view expression) {
  return WholeRegex::compile(cat("(?s:.*?)(?:", expression, ")(?s:.*)"));
}

bool is_name(std::string_view text) {
  return parse_name(text).has_value();
}
bool is_rule(std::string_view text) {
  return !text.empty();
}
bool is_expression(std::string_view text) {
  return compile(text).has_value();
}

constexpr ConfigKey kGroup[] = {
    key<&GroupRule::name>(
        "name",
        key_type::Text{"a text with {{.Comm}}, {{.ExeBase}}, {{.ExeFull}} or {{.Matches.NAME}}",
                       is_name, true},
        {"The name of the group. Processes whose names differ are different groups.\n"
         "`{{.Comm}}` is the command, `{{.ExeBase}}` and `{{.ExeFull}}` are the program without "
         "and with "
         "its path, `{{.Matches.NAME}}` is the group NAME of an expression.",
         "'php {{.Matches.pool}}'", "`{{.ExeBase}}`"}),
    key<&GroupRule::comm>(
        "comm", key_type::Texts{"a list of commands, such as [nginx]", 100, is_rule},
        {"Commands, of which the process has one: the first 15 characters of the program's name.",
         "[nginx, postgres]"}),
    key<&GroupRule::exe>(
        "exe", key_type::Texts{"a list of programs, such as [/usr/sbin/nginx]", 100, is_rule},
        {"Programs, of which the process has one as its first argument: with a slash the whole "
         "path, else the name.",
         "[/usr/sbin/nginx, java]"}),
    key<&GroupRule::cmdline>(
        "cmdline",
        key_type::Texts{"a list of RE2 regular expressions, such as ['-jar (?P<jar>\\S+)']", 100,
                        is_expression, true},
        {"Expressions, all of which match somewhere in the arguments, joined by blanks.",
         "['pool (?P<pool>\\S+)']"}),
};

constexpr ConfigKey kOptions[] = {
    key<&Options::groups>(
        "groups", key_type::Groups{"groups", 100, key_type::keys_of<kGroup>},
        {"Which processes belong together: the first group whose rules all match.\n"
         "A process that none matches belongs to the group of its nearest ancestor that is in one. "
         "Without this list each command is a group, except the kernel's threads.",
         "[{comm: [nginx]}, {name: 'php {{.Matches.pool}}', cmdline: ['pool (?P<pool>\\S+)']}]",
         "one group for each command"}),
};

struct Arguments {
  std::vector<std::string_view> words;
  std::string joined;  // by blanks
};

std::string_view base_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

class Rule {
 public:
  explicit Rule(const GroupRule& rule)
      : rule_(rule),
        name_(parse_name(rule.name.empty() ? "{{.ExeBase}}" : rule.name)
                  .value_or(std::vector<NamePart>{})) {
    for (const auto& text : rule.cmdline) {
      if (auto expression = compile(text)) cmdline_.push_back(std::move(*expression));
    }
  }

  bool matches(std::string_view comm, const Arguments& arguments) const {
    const auto is_comm = [&](const auto& wanted) { return wanted == comm; };
    if (!rule_.comm.empty() && std::ranges::none_of(rule_.comm, is_comm)) return false;
    const auto is_exe = [&](std::string_view wanted) {
      const auto exe = arguments.words.empty() ? std::string_view{} : arguments.words[0];
      return wanted == (wanted.find('/') == wanted.npos ? base_of(exe) : exe);
    };
    if (!rule_.exe.empty() && std::ranges::none_of(rule_.exe, is_exe)) return false;
    return std::ranges::all_of(
        cmdline_, [&](const auto& expression) { return expression.matches(arguments.joined); });
  }

  std::string name(std::string_view comm, const Arguments& arguments) const {
    using Kind = NamePart::Kind;
    const auto exe = arguments.words.empty() ? comm : arguments.words[0];
    std::string name;
    for (const auto& [kind, text] : name_) {
      if (kind == Kind::text) name += text;
      if (kind == Kind::comm) name += comm;
      if (kind == Kind::exe_base) name += base_of(exe);
      if (kind == Kind::exe_full) name += exe;
      if (kind != Kind::match) continue;
      for (const auto& expression : cmdline_) {
        name += expression.expand(arguments.joined, cat("${", text, "}")).value_or("");
      }
    }
    make_utf8(name);
    return name;
  }

 private:
  GroupRule rule_;
  std::vector<NamePart> name_;
  std::vector<WholeRegex> cmdline_;
};

enum Counter { kUser, kSystem, kMajor, kMinor, kVoluntary, kNonvoluntary, kCounters };
using Counters = std::array<std::uint64_t, kCounters>;

struct Group {
  Counters counters{};
  // Of the processes that run.
  std::uint64_t processes = 0, threads = 0, resident = 0, virtual_size = 0, swapped = 0;
  std::uint64_t oldest = 0;  // clock ticks after the boot
  std::array<std::uint64_t, 5> states{};
  bool has_status = false;
};
constexpr std::string_view kStateNames[] = {"Running", "Sleeping", "Waiting", "Zombie", "Other"};

/// All groups that ever were, by name.
using Groups = std::map<std::string, Group, std::less<>>;

/// What became of a look at all processes.
struct Look {
  bool has_any = false;       // a process
  bool has_too_many = false;  // groups
  std::string file = {};      // the first that was garbled, or could not be read
  std::string text = {};      // what it had
  std::string error = {};
};

/// Follows processes from look to look. In one thread at a time.
class Tracker {
 public:
  Tracker(std::string procfs, const Options& options) : procfs_(std::move(procfs)) {
    rules_.reserve(options.groups.size() + 1);
    for (const auto& rule : options.groups) rules_.emplace_back(rule);
    if (rules_.empty()) rules_.emplace_back(GroupRule{"{{.Comm}}", {}, {}, {"."}});
  }

  void look();
  /// After a look.
  const Look& last_look() const { return look_; }
  const Groups& groups() const { return groups_; }

 private:
  struct Process {
    std::uint64_t start = 0;
    Group* group = nullptr;  // null: it is in none
    unsigned parent = 0;
    unsigned seen = 0;        // the number of the look
    bool is_settled = false;  // the group is known
    bool is_counted = false;  // `counters` are of an earlier look
    Counters counters{};
    std::unique_ptr<Group> now;  // in a look, until the group is known
  };

  void read(const SysFolder& proc, unsigned pid, Look& look);
  void settle(Process& process, unsigned depth);
  void add(const SysFolder& proc, unsigned pid, Process& process, Group& now);
  Group* match(std::string_view comm, const SysFolder& proc, unsigned pid, Look& look);

  const std::string procfs_;
  std::vector<Rule> rules_;
  std::map<unsigned, Process> processes_;
  Groups groups_;
  std::string content_;
  Look look_;
  unsigned looks_ = 0;
  std::uint64_t first_look_ = 0;  // clock ticks after the boot
};

/// What is needed for a look alone is not kept until the next: a host may have 100,000 processes.
void Tracker::look() {
  look_ = {};
  ++looks_;
  const SysFolder proc(procfs_);
  for (auto& [name, group] : groups_) group = Group{.counters = group.counters};
  std::vector<std::string> names;
  proc.list_folders(names);
  for (const auto& name : names) {
    if (const auto pid = parse_number<unsigned>(name)) {
      look_.has_any = true;
      read(proc, *pid, look_);
    }
  }
  for (auto& [pid, process] : processes_) {
    if (!process.now) continue;
    settle(process, 0);
    if (process.group != nullptr) add(proc, pid, process, *process.now);
    process.now = nullptr;
  }
  std::erase_if(processes_, [&](const auto& known) { return known.second.seen != looks_; });
  // A process that begins later than all of the first look has counted nothing before.
  if (looks_ > 1) return;
  for (const auto& [pid, process] : processes_) first_look_ = std::max(first_look_, process.start);
}

void Tracker::read(const SysFolder& proc, unsigned pid, Look& look) {
  char file[32];
  std::snprintf(file, sizeof file, "%u/stat", pid);
  const auto content = proc.read(file);
  if (has_no_value(content.error) || content.error == ESRCH) return;  // it has ended
  const auto stat = content.error == 0 ? parse_process_line(content.text(), pid) : std::nullopt;
  if (!stat) {
    // It is not forgotten: what it has counted would count once more.
    if (const auto known = processes_.find(pid); known != processes_.end()) {
      known->second.seen = looks_;
    }
    if (!look.file.empty()) return;
    look.file = proc.path(file);
    look.text = content.text();
    if (content.error != 0) look.error = "cannot be read";
    return;
  }
  auto& process = processes_[pid];
  if (process.start != stat->start) process = {};
  process.start = stat->start;
  process.parent = static_cast<unsigned>(stat->parent);
  process.seen = looks_;
  const auto state = std::string_view("RSDZ").find(stat->state);
  Group now{.counters = {stat->user, stat->system, stat->major, stat->minor},
            .processes = 1,
            .threads = stat->threads,
            .resident = stat->resident_pages,
            .virtual_size = stat->virtual_bytes,
            .oldest = process.start};
  ++now.states[std::min<std::size_t>(state, 4)];
  if (!process.is_settled) {
    process.group = match(stat->comm, proc, pid, look);
    process.is_settled = process.group != nullptr;
  }
  if (!process.is_settled) {
    process.now = std::make_unique<Group>(now);
  } else if (process.group != nullptr) {
    add(proc, pid, process, now);
  }
}

Group* Tracker::match(std::string_view comm, const SysFolder& proc, unsigned pid, Look& look) {
  char file[32];
  std::snprintf(file, sizeof file, "%u/cmdline", pid);
  const auto error = proc.read(file, content_);
  if (error == SysText::kNotRegular && look.file.empty()) {
    look.file = proc.path(file);
    look.error = "is not a regular file";
  }
  if (error != 0) content_.clear();
  while (content_.ends_with('\0')) content_.pop_back();
  Arguments arguments;
  for (std::string_view rest = content_; !rest.empty();) {
    const auto end = std::min(rest.find('\0'), rest.size());
    arguments.words.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  arguments.joined = content_;
  std::ranges::replace(arguments.joined, '\0', ' ');
  for (const auto& rule : rules_) {
    if (!rule.matches(comm, arguments)) continue;
    auto name = rule.name(comm, arguments);
    const auto known = groups_.find(name);
    if (known != groups_.end()) return &known->second;
    if (groups_.size() >= kGroupsMax) {
      look.has_too_many = true;
      return nullptr;
    }
    return &groups_[std::move(name)];
  }
  return nullptr;
}

/// One that no rule matches belongs to its nearest ancestor's group; once only, as its name.
void Tracker::settle(Process& process, unsigned depth) {
  constexpr unsigned kDepthMax = 64;
  if (process.is_settled) return;
  process.is_settled = true;
  const auto parent = processes_.find(process.parent);
  if (parent == processes_.end() || depth == kDepthMax) return;
  settle(parent->second, depth + 1);
  process.group = parent->second.group;
}

void Tracker::add(const SysFolder& proc, unsigned pid, Process& process, Group& now) {
  char file[32];
  std::snprintf(file, sizeof file, "%u/status", pid);
  if (proc.read(file, content_) == 0) {
    for (std::string_view rest = content_; auto line = next_line(rest);) {
      const auto name = next_word(*line);
      const auto number = parse_number<std::uint64_t>(next_word(*line));
      if (!number) continue;
      if (name == "VmSwap:") now.swapped = *number * 1'024;
      if (name == "voluntary_ctxt_switches:") now.counters[kVoluntary] = *number;
      if (name == "nonvoluntary_ctxt_switches:") now.counters[kNonvoluntary] = *number;
      now.has_status = now.has_status || name == "nonvoluntary_ctxt_switches:";
    }
  }
  auto& group = *process.group;
  const bool is_younger = looks_ > 1 && process.start > first_look_;
  for (std::size_t i = 0; i < kCounters; ++i) {
    const auto before = process.is_counted ? process.counters[i] : is_younger ? 0 : now.counters[i];
    if (now.counters[i] > before) group.counters[i] += now.counters[i] - before;
  }
  process.counters = now.counters;
  process.is_counted = true;
  group.processes += now.processes;
  group.threads += now.threads;
  group.resident += now.resident;
  group.virtual_size += now.virtual_size;
  group.swapped += now.swapped;
  group.has_status = group.has_status || now.has_status;
  group.oldest = group.processes == 1 ? now.oldest : std::min(group.oldest, now.oldest);
  for (std::size_t i = 0; i < group.states.size(); ++i) group.states[i] += now.states[i];
}

class ProcessGroups : public Collector {
 public:
  explicit ProcessGroups(const CollectorContext& context)
      : options_(context.options.as<Options>()),
        procfs_(context.paths.procfs),
        reading_(procfs_, context.wakeup),
        stat_(context.files.open(context.paths.proc("stat"))),
        tracker_(std::make_shared<Tracker>(procfs_, options_)) {}

  Result<bool> begin(const Tick&) override;
  std::int64_t wait_ns() override { return reading_.wait_ns(); }
  Result<void> collect(const Tick& tick, SeriesWriter& out) override;

 private:
  void add(std::string_view name, const Group& group, std::optional<double> boot,
           SeriesWriter& out) const;

  const Options& options_;
  const std::string procfs_;
  SlowReading reading_;
  const std::shared_ptr<KeptFile> stat_;
  const std::shared_ptr<Tracker> tracker_;  // of the thread, while there is one
  const double page_bytes_ = static_cast<double>(::sysconf(_SC_PAGESIZE));
};

Result<bool> ProcessGroups::begin(const Tick&) {
  for (std::size_t i = 0; i < options_.groups.size(); ++i) {
    const auto& group = options_.groups[i];
    if (group.comm.empty() && group.exe.empty() && group.cmdline.empty()) {
      return failed(cat("collectors.process_groups.groups[", i,
                        "] has none of comm, exe and cmdline, one of which it needs"));
    }
  }
  const auto started = reading_.start([tracker = tracker_] { tracker->look(); }, kStackBytes);
  if (!started) return started.error();
  return true;
}

Result<void> ProcessGroups::collect(const Tick& tick, SeriesWriter& out) {
  if (const auto done = reading_.done(); !done) return done.error();
  const auto& look = tracker_->last_look();
  if (!look.has_any) return no_data(cat(procfs_, ": no process"));
  const auto boot = boot_seconds(*stat_, tick.number, kOldest, out);
  for (const auto& [name, group] : tracker_->groups()) add(name, group, boot, out);
  if (look.has_too_many) {
    out.complaints().unreadable(
        procfs_, failed(cat(procfs_, ": more than ", kGroupsMax, " groups of processes")),
        {"each that came later"});
  } else if (!look.file.empty() && !look.error.empty()) {
    out.complaints().unreadable(look.file, failed(cat(look.file, ": ", look.error)),
                                {"the process"});
  } else if (!look.file.empty()) {
    out.complaints().garbled(look.file, look.text, "the state of a process", {"the process"});
  }
  return {};
}

void ProcessGroups::add(std::string_view name, const Group& group, std::optional<double> boot,
                        SeriesWriter& out) const {
  const auto counter = [&](Counter which) { return static_cast<double>(group.counters[which]); };
  const auto number = [](std::uint64_t count) { return static_cast<double>(count); };
  constexpr double kTicks = kProcessTicksPerSecond;
  const auto put = [&](const MetricDesc& metric, std::string_view label, double value) {
    if (label.empty()) return out.add(metric, {name}, value);
    out.add(metric, {name, label}, value);
  };
  put(kProcesses, {}, number(group.processes));
  put(kCpu, "user", counter(kUser) / kTicks);
  put(kCpu, "system", counter(kSystem) / kTicks);
  put(kMajorFaults, {}, counter(kMajor));
  put(kMinorFaults, {}, counter(kMinor));
  put(kMemory, "resident", number(group.resident) * page_bytes_);
  put(kMemory, "virtual", number(group.virtual_size));
  put(kThreads, {}, number(group.threads));
  for (std::size_t i = 0; i < group.states.size(); ++i) {
    put(kStates, kStateNames[i], number(group.states[i]));
  }
  if (group.has_status || group.processes == 0) {
    put(kMemory, "swapped", number(group.swapped));
    put(kSwitches, "voluntary", counter(kVoluntary));
    put(kSwitches, "nonvoluntary", counter(kNonvoluntary));
  }
  if (boot && group.processes > 0) {
    put(kOldest, {}, *boot + number(group.oldest / kProcessTicksPerSecond));
  }
}

}  // namespace

CollectorType process_groups_collector() {
  return {.make = make_collector<ProcessGroups>,
          .options = make_options<Options, kOptions>,
          .costly = "every process of the host has a file that is read"};
}

}  // namespace msp::collectors
