// systemd: the states of units, from systemd itself over the system bus, and what the services among
// them use, from their control groups (cgroups(7), version 2, or version 1 where the host has that):
//   cpu.stat         usage_usec 1842000
//   memory.current   7344128
//   memory.stat      inactive_file 1048576
//   pids.current     9
//
// Only systemd knows which units have failed. It is asked in a thread of its own and no more often
// than the option says, for it answers between other work, and a host in trouble may not answer at
// all. What it has said is sent until it is asked again; after a question that failed nothing is
// sent. Control groups are read at each tick.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/detached_thread.h"
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"
#include "collectors/systemd_units.h"

namespace msp::collectors {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::string_view kBus = "systemd";
constexpr MetricDesc kUnits{"node_systemd_units", "Summary of systemd unit states", kBus,
                            MetricType::gauge, "state"};
constexpr MetricDesc kUnitState{"node_systemd_unit_state", "Systemd unit", kBus, MetricType::gauge,
                                "name,state,type"};
constexpr MetricDesc kRunning{
    "node_systemd_system_running",
    "Whether the system is operational (see 'systemctl is-system-running')", kBus};
constexpr MetricDesc kRestarts{"node_systemd_service_restart_total",
                               "Service unit count of Restart triggers", kBus, MetricType::counter,
                               "name"};
constexpr MetricDesc kVersion{"node_systemd_version", "Detected systemd version", kBus,
                              MetricType::gauge, "version"};
constexpr MetricDesc kCpu{"msp_agent_unit_cpu_seconds_total",
                          "Seconds that the processes of a service have run on a CPU.",
                          "/sys/fs/cgroup/SLICE/SERVICE/cpu.stat", MetricType::counter, "name"};
constexpr MetricDesc kMemory{"msp_agent_unit_memory_usage_bytes",
                             "Memory of a service, the page cache of its files included.",
                             "/sys/fs/cgroup/SLICE/SERVICE/memory.current", MetricType::gauge,
                             "name"};
constexpr MetricDesc kWorkingSet{
    "msp_agent_unit_memory_working_set_bytes",
    "Memory of a service without page cache that has not been used lately.",
    "/sys/fs/cgroup/SLICE/SERVICE/memory.current, /sys/fs/cgroup/SLICE/SERVICE/memory.stat",
    MetricType::gauge, "name"};

constexpr MetricDesc kTasks{"msp_agent_unit_tasks", "Processes and threads of a service.",
                            "/sys/fs/cgroup/SLICE/SERVICE/pids.current", MetricType::gauge, "name"};

constexpr milliseconds kTimeout = 2s;           // of a question with all its calls
constexpr std::size_t kStackBytes = 128 << 10;  // RE2 runs in it
constexpr std::string_view kBusPath = "/run/dbus/system_bus_socket";

struct Options {
  Filter units;
  milliseconds query_interval = 1min;
  friend bool operator==(const Options&, const Options&) = default;
};

constexpr ConfigKey kOptions[] = {
    key<&Options::units>(
        "units_include",
        key_type::Regex{
            PatternUse::include,
            "^(ssh|sshd|cron|crond|docker|containerd|nginx|apache2|httpd|haproxy|mysql|mysqld|"
            "mariadb|postgresql.*|redis.*|php.*-fpm|postfix|chrony|chronyd|systemd-timesyncd)"
            "\\.service$"},
        {"Units whose state is sent although they have not failed, with what the services use.\n"
         "Each costs 10 series. Units that have failed are always sent.",
         "'^(nginx|app@.*)\\.service$'"}),
    key<&Options::query_interval>(
        "query_interval", key_type::Duration{5s, 1h},
        {"Time between two questions to systemd. Services' CPU and memory are read at each tick.",
         "5m"}),
};

/// The first number of a version, with a part behind a dot: 252.39 of 252.39-1~deb12u1.
double version_number(std::string_view version) {
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::size_t kDigitsMin = 3;
  for (auto at = version.find_first_of(kDigits); at != version.npos;
       at = version.find_first_of(kDigits, at)) {
    auto end = std::min(version.find_first_not_of(kDigits, at), version.size());
    if (end - at >= kDigitsMin) {
      if (end + 1 < version.size() && version[end] == '.' &&
          kDigits.find(version[end + 1]) != kDigits.npos) {
        end = std::min(version.find_first_not_of(kDigits, end + 1), version.size());
      }
      return parse_amount(version.substr(at, end - at)).value_or(0);
    }
    at = end;
  }
  return 0;
}

/// The number behind `name` in a file of lines "name number".
std::optional<double> read_field(const SysFolder& folder, const char* file, std::string_view name,
                                 const MetricDesc& metric, SeriesWriter& out) {
  const auto content = folder.read(file);
  if (content.error != 0) {
    complain(folder, file, content.error, metric.name, out);
    return std::nullopt;
  }
  for (auto rest = content.text(); auto line = next_line(rest);) {
    if (next_word(*line) != name) continue;
    const auto word = trim(*line);
    if (const auto number = parse_number<std::uint64_t>(word)) return static_cast<double>(*number);
    out.complaints().garbled(folder.path(file), word, "a count", {metric.name});
    return std::nullopt;
  }
  const auto text = content.text();
  out.complaints().garbled(folder.path(file), text.substr(0, text.find('\n')),
                           cat("a table with ", name), {metric.name});
  return std::nullopt;
}

/// The answer to one question; the thread that asks owns it as well.
struct Question {
  std::mutex mutex;
  std::optional<Result<SystemdUnits>> answer;  // once it is there
};

class Systemd : public Collector {
 public:
  explicit Systemd(const CollectorContext& context)
      : options_(context.options.as<Options>()),
        bus_path_(context.paths.root(kBusPath)),
        cgroups_(context.paths.sys("fs/cgroup")),
        wakeup_(context.wakeup),
        interval_(context.interval) {}

  Result<bool> begin(const Tick&) override;
  std::int64_t wait_ns() override;
  Result<void> collect(const Tick& tick, SeriesWriter& out) override;

 private:
  struct Service {
    std::string name;
    std::string cpu_folder;     // of control groups
    std::string memory_folder;  // these are the same in version 2
    std::string pids_folder;
  };

  void take_answer();
  void learn(SystemdUnits units, std::int64_t now_ns);
  void add_units(SeriesWriter& out) const;
  void add_usage(const Service& service, SeriesWriter& out) const;

  const Options& options_;
  const std::string bus_path_;
  const std::string cgroups_;
  const std::shared_ptr<const Wakeup> wakeup_;
  const milliseconds interval_;
  std::shared_ptr<Question> question_;  // that has no answer yet
  std::int64_t asked_ns_ = 0;           // the last one
  std::int64_t wait_until_ns_ = 0;
  bool has_asked_ = false;
  std::optional<SystemdUnits> units_;  // of the last question, if that was answered
  std::int64_t answered_ns_ = 0;
  double version_ = 0;
  bool is_unified_ = false;        // control groups of version 2
  std::vector<Service> services_;  // of units_, those that run
  std::optional<Error> error_;     // of the last question
};

Result<bool> Systemd::begin(const Tick&) {
  take_answer();
  const auto now_ns = monotonic_ns();
  // A tick that is early by less than half an interval is the one that is meant.
  const auto every_ns = (options_.query_interval - interval_ / 2).count() * kNsPerMs;
  if (question_ || (has_asked_ && now_ns - asked_ns_ < every_ns)) return false;
  question_ = std::make_shared<Question>();
  const auto ask = [question = question_, path = bus_path_, wanted = options_.units,
                    wakeup = wakeup_] {
    SystemBus bus(path, kTimeout);
    auto connected = bus.connect();
    auto answer = connected ? ask_systemd(bus, wanted) : Result<SystemdUnits>(connected.error());
    {
      const std::lock_guard lock(question->mutex);
      question->answer = std::move(answer);
    }
    if (wakeup) wakeup->wake();
  };
  has_asked_ = true;
  asked_ns_ = now_ns;
  if (auto started = start_detached(ask, kStackBytes); !started) {
    question_ = nullptr;
    units_.reset();
    error_ = failed(cat(bus_path_, ": ", started.error().text));
    return false;
  }
  // The tick waits where an answer can be expected, as for a mount that does not answer.
  const auto most = interval_.count() > 0 ? std::min(kTimeout, interval_ / 2) : kTimeout;
  wait_until_ns_ = error_ ? 0 : now_ns + most.count() * kNsPerMs;
  return true;
}

std::int64_t Systemd::wait_ns() {
  take_answer();
  return question_ ? std::max<std::int64_t>(wait_until_ns_ - monotonic_ns(), 0) : 0;
}

void Systemd::take_answer() {
  if (!question_) return;
  std::optional<Result<SystemdUnits>> answer;
  {
    const std::lock_guard lock(question_->mutex);
    if (!question_->answer) return;
    answer = std::move(question_->answer);
  }
  question_ = nullptr;
  units_.reset();
  error_.reset();
  if (*answer) {
    learn(std::move(**answer), monotonic_ns());
  } else {
    error_ = answer->error();
  }
}

void Systemd::learn(SystemdUnits units, std::int64_t now_ns) {
  units_ = std::move(units);
  answered_ns_ = now_ns;
  version_ = version_number(units_->version);
  is_unified_ = SysFolder(cgroups_).read("cgroup.controllers").error != ENOENT;
  services_.clear();
  for (const auto& unit : units_->units) {
    if (unit.control_group.empty()) continue;
    const auto folder = [&](std::string_view controller) {
      return cat(cgroups_, is_unified_ ? "" : controller, unit.control_group);
    };
    services_.push_back({unit.name, folder("/cpuacct"), folder("/memory"), folder("/pids")});
  }
}

Result<void> Systemd::collect(const Tick&, SeriesWriter& out) {
  take_answer();
  const auto valid = options_.query_interval + interval_ + kTimeout;
  if (units_ && monotonic_ns() - answered_ns_ > valid.count() * kNsPerMs) units_.reset();
  if (!units_) {
    return error_ ? *error_ : failed(cat(bus_path_, ": systemd has not answered yet"));
  }
  add_units(out);
  for (const auto& service : services_) add_usage(service, out);
  return {};
}

void Systemd::add_units(SeriesWriter& out) const {
  for (const auto& [state, count] : units_->states) {
    out.add(kUnits, {state}, static_cast<double>(count));
  }
  for (const auto& unit : units_->units) {
    for (const auto state : kUnitStates) {
      out.add(kUnitState, {unit.name, state, unit.type}, unit.active_state == state ? 1 : 0);
    }
    if (unit.restarts) out.add(kRestarts, {unit.name}, *unit.restarts);
  }
  if (!units_->system_state.empty()) out.add(kRunning, units_->system_state == "running" ? 1 : 0);
  out.add(kVersion, {units_->version}, version_);
}

/// A service that has ended since systemd was asked has no control group any more.
void Systemd::add_usage(const Service& service, SeriesWriter& out) const {
  constexpr double kUsPerSecond = 1e6, kNsPerSecondOfCpu = 1e9;
  if (const SysFolder folder(service.cpu_folder); folder) {
    const auto used = is_unified_ ? read_field(folder, "cpu.stat", "usage_usec", kCpu, out)
                                  : read_number(folder, "cpuacct.usage", kCpu, out);
    if (used)
      out.add(kCpu, {service.name}, *used / (is_unified_ ? kUsPerSecond : kNsPerSecondOfCpu));
  }
  if (const SysFolder folder(service.pids_folder); folder) {
    add_number(folder, "pids.current", kTasks, {service.name}, out);
  }
  const SysFolder folder(service.memory_folder);
  if (!folder) return;
  const auto used =
      read_number(folder, is_unified_ ? "memory.current" : "memory.usage_in_bytes", kMemory, out);
  if (!used) return;
  out.add(kMemory, {service.name}, *used);
  const auto unused =
      read_field(folder, "memory.stat", is_unified_ ? "inactive_file" : "total_inactive_file",
                 kWorkingSet, out);
  if (unused) out.add(kWorkingSet, {service.name}, std::max(*used - *unused, 0.0));
}

}  // namespace

CollectorType systemd_collector() {
  return {make_collector<Systemd>, make_options<Options, kOptions>};
}

}  // namespace msp::collectors
