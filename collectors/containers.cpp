// containers: what each container uses, from its control group (cgroups(7), version 2, or version 1
// where the host has that), with cAdvisor's names and meanings:
//   cpu.stat        usage_usec 1842000
//   memory.current  7344128
//   memory.stat     inactive_file 1048576
//   memory.events   oom_kill 0
//   io.stat         8:0 rbytes=90112 wbytes=0 rios=7 wios=0 dbytes=0 dios=0
//   cgroup.procs    4711
// and its network from /proc/PID/net/dev of its first process, once for each network that is not the
// host's. No privilege is needed, and no engine is asked but for names, where the option says so;
// container_names.h says where names are from.
// Beside virtual machines of libvirt and Proxmox, no other control groups are sent: cAdvisor sends all.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/detached_thread.h"
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/container_names.h"
#include "collectors/container_tree.h"
#include "collectors/counters_line.h"
#include "collectors/process_line.h"
#include "collectors/slow_reading.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

struct Options {
  std::uint64_t containers_max = 500;
  std::string docker_socket;
  friend bool operator==(const Options&, const Options&) = default;
};

bool is_absolute(std::string_view path) {
  return path.starts_with('/');
}

constexpr ConfigKey kOptions[] = {
    key<&Options::containers_max>(
        "containers_max", key_type::Number{1, 10'000},
        {"The most containers that are sent; the log says when there are more.\n"
         "Each costs about 35 series: raise series_max, too.",
         "1000"}),
    key<&Options::docker_socket>(
        "docker_socket", key_type::Text{"the absolute path of a socket", is_absolute, true},
        {"A socket of Docker's or Podman's that is asked for the names of containers.\n"
         "It is asked when containers come or go, and once a minute while one has no name. Whoever "
         "may ask it can become root: the package msp-agent-textfile needs no socket.",
         "/var/run/docker.sock"}),
};

#define MSP_LABELS                              \
  "id,name,image,container,pod,namespace,"      \
  "container_label_com_docker_compose_project," \
  "container_label_com_docker_compose_service"
#define MSP_GROUP "/sys/fs/cgroup/SLICE/CONTAINER/"

constexpr MetricDesc gauge(std::string_view name, std::string_view help, std::string_view source) {
  return {name, help, source, MetricType::gauge, MSP_LABELS};
}
constexpr MetricDesc counter(std::string_view name, std::string_view help,
                             std::string_view source) {
  return {name, help, source, MetricType::counter, MSP_LABELS};
}

constexpr MetricDesc kCpuUsage{"container_cpu_usage_seconds_total",
                               "Cumulative cpu time consumed in seconds.", MSP_GROUP "cpu.stat",
                               MetricType::counter, MSP_LABELS ",cpu"};
constexpr auto kCpuUser =
    counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.",
            MSP_GROUP "cpu.stat");
constexpr auto kCpuSystem =
    counter("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.",
            MSP_GROUP "cpu.stat");
constexpr auto kCfsPeriods =
    counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.",
            MSP_GROUP "cpu.stat");
constexpr auto kCfsThrottled =
    counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.",
            MSP_GROUP "cpu.stat");
constexpr auto kCfsSeconds =
    counter("container_cpu_cfs_throttled_seconds_total",
            "Total time duration the container has been throttled.", MSP_GROUP "cpu.stat");
constexpr auto kPeriod =
    gauge("container_spec_cpu_period", "CPU period of the container.", MSP_GROUP "cpu.max");
constexpr auto kQuota =
    gauge("container_spec_cpu_quota", "CPU quota of the container.", MSP_GROUP "cpu.max");
constexpr auto kShares =
    gauge("container_spec_cpu_shares", "CPU share of the container.", MSP_GROUP "cpu.weight");
constexpr auto kMemoryUsage =
    gauge("container_memory_usage_bytes",
          "Current memory usage in bytes, including all memory regardless of when it was accessed",
          MSP_GROUP "memory.current");
constexpr auto kWorkingSet =
    gauge("container_memory_working_set_bytes", "Current working set in bytes.",
          MSP_GROUP "memory.current, " MSP_GROUP "memory.stat");
constexpr auto kRss =
    gauge("container_memory_rss", "Size of RSS in bytes.", MSP_GROUP "memory.stat");
constexpr auto kCache = gauge("container_memory_cache", "Number of bytes of page cache memory.",
                              MSP_GROUP "memory.stat");
constexpr auto kMappedFile =
    gauge("container_memory_mapped_file", "Size of memory mapped files in bytes.",
          MSP_GROUP "memory.stat");
constexpr auto kSwap = gauge("container_memory_swap", "Container swap usage in bytes.",
                             MSP_GROUP "memory.swap.current");
constexpr auto kMaxUsage = gauge("container_memory_max_usage_bytes",
                                 "Maximum memory usage recorded in bytes", MSP_GROUP "memory.peak");
constexpr auto kFailcnt = counter("container_memory_failcnt", "Number of memory usage hits limits",
                                  MSP_GROUP "memory.events");
constexpr auto kOomEvents =
    counter("container_oom_events_total",
            "Count of out of memory events observed for the container", MSP_GROUP "memory.events");
constexpr auto kMemoryLimit = gauge("container_spec_memory_limit_bytes",
                                    "Memory limit for the container.", MSP_GROUP "memory.max");
constexpr auto kSwapLimit =
    gauge("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container.",
          MSP_GROUP "memory.swap.max");
constexpr auto kReservation =
    gauge("container_spec_memory_reservation_limit_bytes",
          "Memory reservation limit for the container.", MSP_GROUP "memory.min");

constexpr MetricDesc of_disk(std::string_view name, std::string_view help) {
  return {name, help, MSP_GROUP "io.stat, /sys/dev/block/DEVICE/uevent", MetricType::counter,
          MSP_LABELS ",device"};
}
// In the order of kOperations.
constexpr MetricDesc kDisk[] = {
    of_disk("container_fs_reads_bytes_total", "Cumulative count of bytes read"),
    of_disk("container_fs_writes_bytes_total", "Cumulative count of bytes written"),
    of_disk("container_fs_reads_total", "Cumulative count of reads completed"),
    of_disk("container_fs_writes_total", "Cumulative count of writes completed"),
};
constexpr std::string_view kOperations[] = {"rbytes", "wbytes", "rios", "wios"};

constexpr MetricDesc of_network(std::string_view name, std::string_view help) {
  return {name, help, "/proc/PID/net/dev", MetricType::counter, MSP_LABELS ",interface"};
}
struct NetworkColumn {
  std::size_t column;  // of /proc/PID/net/dev
  MetricDesc metric;
};
constexpr NetworkColumn kNetwork[] = {
    {0, of_network("container_network_receive_bytes_total", "Cumulative count of bytes received")},
    {1,
     of_network("container_network_receive_packets_total", "Cumulative count of packets received")},
    {2, of_network("container_network_receive_errors_total",
                   "Cumulative count of errors encountered while receiving")},
    {3, of_network("container_network_receive_packets_dropped_total",
                   "Cumulative count of packets dropped while receiving")},
    {8,
     of_network("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted")},
    {9, of_network("container_network_transmit_packets_total",
                   "Cumulative count of packets transmitted")},
    {10, of_network("container_network_transmit_errors_total",
                    "Cumulative count of errors encountered while transmitting")},
    {11, of_network("container_network_transmit_packets_dropped_total",
                    "Cumulative count of packets dropped while transmitting")},
};
constexpr std::size_t kNetworkColumns = 16;

constexpr auto kProcesses =
    gauge("container_processes", "Number of processes running inside the container.",
          MSP_GROUP "cgroup.procs");
constexpr auto kThreads =
    gauge("container_threads", "Number of threads running inside the container",
          MSP_GROUP "pids.current");
constexpr auto kThreadsMax =
    gauge("container_threads_max",
          "Maximum number of threads allowed inside the container, infinity if value is zero",
          MSP_GROUP "pids.max");
constexpr auto kStartTime =
    gauge("container_start_time_seconds",
          "Start time of the container since unix epoch in seconds.", "/proc/PID/stat, /proc/stat");
constexpr auto kLastSeen =
    gauge("container_last_seen", "Last time a container was seen by the exporter", "the agent");

#undef MSP_LABELS
#undef MSP_GROUP

constexpr std::int64_t kAskAgainNs = 55 * kNsPerSecond;  // for a name; somewhat less than a minute
constexpr std::chrono::seconds kAnswerTimeout{2};        // of Docker
constexpr std::size_t kDevicesMax = 1'024;
constexpr double kUsPerSecond = 1e6, kNsPerSecondOfCpu = 1e9;
constexpr double kTicksPerSecond = 100;  // USER_HZ, which is the same on all of our architectures

/// A number of a file with lines "name number".
struct Field {
  std::string_view name;
  const MetricDesc* metric;  // for complaints
  std::optional<double> number = std::nullopt;
};

/// A file that holds one number.
struct NumberOf {
  const char* file;
  const MetricDesc* metric;
  bool is_limit = false;  // may be "max"
};
constexpr NumberOf kUnified[] = {
    {"memory.swap.current", &kSwap},     {"memory.peak", &kMaxUsage},
    {"memory.max", &kMemoryLimit, true}, {"memory.swap.max", &kSwapLimit, true},
    {"memory.min", &kReservation, true}, {"pids.current", &kThreads},
    {"pids.max", &kThreadsMax, true}};
constexpr NumberOf kCpuOfVersion1[] = {{"cpu.shares", &kShares}};
constexpr NumberOf kMemoryOfVersion1[] = {{"memory.max_usage_in_bytes", &kMaxUsage},
                                          {"memory.failcnt", &kFailcnt},
                                          {"memory.limit_in_bytes", &kMemoryLimit, true},
                                          {"memory.memsw.limit_in_bytes", &kSwapLimit, true},
                                          {"memory.soft_limit_in_bytes", &kReservation, true}};
constexpr NumberOf kPidsOfVersion1[] = {{"pids.current", &kThreads},
                                        {"pids.max", &kThreadsMax, true}};

/// A block device by its number.
struct Device {
  unsigned major_number;
  unsigned minor_number;
  std::string name;  // "/dev/sda"; empty: not known
};

struct Processes {
  std::uint64_t count = 0;
  unsigned first = 0;  // 0: there is none
  bool is_known = true;
};

/// Controllers of version 1, each mounted for itself.
struct Controllers {
  std::string cpu, cpuacct, memory, blkio, pids;
};

class Containers : public Collector {
 public:
  explicit Containers(const CollectorContext& context)
      : options_(context.options.as<Options>()),
        groups_(context.paths.sys("fs/cgroup")),
        procfs_(context.paths.procfs),
        devices_folder_(context.paths.sys("dev/block")),
        stat_(context.files.open(context.paths.proc("stat"))),
        names_(context.paths),
        question_(options_.docker_socket, context.wakeup) {}

  Result<bool> begin(const Tick&) override;
  std::int64_t wait_ns() override;
  Result<void> collect(const Tick& tick, SeriesWriter& out) override;

 private:
  using ProcPath = char[40];

  void find_root();
  std::string controller(std::string_view name) const;
  void learn(const Tick& tick, SeriesWriter& out);
  void identify(const ControlGroup& group, const Tick& tick, SeriesWriter& out);

  void add(const ControlGroup& group, const Tick& tick, SeriesWriter& out);
  void add_unified(const SysFolder& folder, SeriesWriter& out);
  void add_version_1(SeriesWriter& out);
  void add_cpu(std::span<const Field> usage, double per_second, double system_per_second,
               std::span<const Field> throttling, double throttled_per_second, SeriesWriter& out);
  void add_memory(std::optional<double> usage, std::span<const Field> fields, SeriesWriter& out);
  void add_numbers(const SysFolder& folder, std::span<const NumberOf> numbers, SeriesWriter& out);
  bool add_quota(const SysFolder& folder, SeriesWriter& out);
  bool add_quota_of_version_1(const SysFolder& folder, SeriesWriter& out);
  void add_disks(const SysFolder& folder, SeriesWriter& out);
  void add_disks_of_version_1(const SysFolder& folder, const char* file, const MetricDesc& reads,
                              const MetricDesc& writes, SeriesWriter& out);
  void add_network(unsigned pid, SeriesWriter& out);

  bool read_fields(const SysFolder& folder, const char* file, std::span<Field> fields,
                   SeriesWriter& out);
  void count_processes(const ControlGroup& group, const SysFolder& folder, bool is_inside,
                       Processes& processes, SeriesWriter* out);
  const Device* device_of(std::string_view number, const SysFolder& folder, const char* file,
                          SeriesWriter& out);

  /// Whether the file that is read has named it before.
  bool is_repeated(std::string_view name) {
    if (std::ranges::find(seen_, name) != seen_.end()) return true;
    seen_.push_back(name);
    return false;
  }

  void add_sample(const MetricDesc& metric, double value, SeriesWriter& out) const {
    out.add(metric,
            {labels_->path, labels_->labels.name, labels_->labels.image, labels_->labels.container,
             labels_->labels.pod, labels_->labels.pod_namespace, labels_->labels.compose_project,
             labels_->labels.compose_service},
            value);
  }
  void add_sample(const MetricDesc& metric, std::string_view label, double value,
                  SeriesWriter& out) const {
    out.add(metric,
            {labels_->path, labels_->labels.name, labels_->labels.image, labels_->labels.container,
             labels_->labels.pod, labels_->labels.pod_namespace, labels_->labels.compose_project,
             labels_->labels.compose_service, label},
            value);
  }
  void add_sample(const Field& field, double per_unit, SeriesWriter& out) const {
    if (field.number) add_sample(*field.metric, *field.number / per_unit, out);
  }

  const Options& options_;
  const std::string groups_;  // where control groups are mounted
  const std::string procfs_;
  const std::string devices_folder_;
  const std::shared_ptr<KeptFile> stat_;
  ContainerNames names_;
  SlowReading question_;                             // to Docker
  std::shared_ptr<DockerAnswer> answer_;             // to a question that is under way
  std::shared_ptr<const DockerAnswer> last_answer_;  // to the one before
  bool has_failed_ = false;                          // it is an error
  bool must_ask_ = false;                            // Docker, once it has answered
  bool is_unified_ = false;
  Controllers controllers_;
  std::unique_ptr<ContainerTree> tree_;  // null: not looked for yet
  std::vector<ControlGroup*> sent_;      // sandboxes of pods first, else by path
  std::optional<SysFolder> proc_;        // in a tick
  const Container* labels_ = nullptr;    // of the samples that are added
  std::vector<ino_t> networks_;          // the host's, and those that this tick has sent
  std::deque<Device> devices_;           // their names do not move
  std::vector<std::string_view> seen_;   // what a file has named so far
  std::string content_;                  // of a file; kept for its memory
  std::string path_;
  std::int64_t learned_ns_ = 0;  // when names were looked for last
  bool has_others_ = false;      // containers than those that are learned
  bool is_due_ = false;          // to look for names again
  bool has_unnamed_ = false;
  bool is_over_limit_ = false;
};

/// Version 2 if memory is one of its controllers; on a hybrid host all are of version 1.
void Containers::find_root() {
  const SysFolder folder(groups_);
  std::string root = groups_;
  is_unified_ = folder.read("cgroup.controllers").error != ENOENT;
  if (!is_unified_) {
    const auto controllers = folder.read("unified/cgroup.controllers");
    std::string_view rest = controllers.text();
    for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
      is_unified_ = is_unified_ || (controllers.error == 0 && word == "memory");
    }
    if (is_unified_) root += "/unified";
  }
  if (!is_unified_) {
    controllers_ = {controller("cpu"), controller("cpuacct"), controller("memory"),
                    controller("blkio"), controller("pids")};
    // A kernel may have been told to leave out memory.
    root = SysFolder(controllers_.memory) ? controllers_.memory : controllers_.cpuacct;
  }
  tree_ = std::make_unique<ContainerTree>(std::move(root));
}

/// cpu and cpuacct are mounted together, and each has a link to that.
std::string Containers::controller(std::string_view name) const {
  auto path = cat(groups_, "/", name);
  if (!name.starts_with("cpu") || SysFolder(path)) return path;
  return groups_ + "/cpu,cpuacct";
}

Result<bool> Containers::begin(const Tick&) {
  if (!tree_) find_root();
  const auto now_ns = monotonic_ns();
  has_others_ = tree_->look(now_ns) || has_others_;
  is_due_ = has_unnamed_ && now_ns - learned_ns_ > kAskAgainNs;
  if (options_.docker_socket.empty() || tree_->containers().empty()) return false;
  must_ask_ = must_ask_ || has_others_ || is_due_;
  if (must_ask_ && !answer_) {
    must_ask_ = false;
    answer_ = std::make_shared<DockerAnswer>(options_.docker_socket);
    auto ask = [answer = answer_] { ask_docker(*answer, kAnswerTimeout); };
    auto started = question_.start(std::move(ask), kSmallStackBytes);
    if (!started) answer_->error = started.error();
  }
  return answer_ != nullptr;
}

/// A tick waits where an answer can be expected.
std::int64_t Containers::wait_ns() {
  return has_failed_ ? 0 : question_.wait_ns();
}

Result<void> Containers::collect(const Tick& tick, SeriesWriter& out) {
  const bool has_answer = answer_ && question_.wait_ns() == 0;
  if (has_answer) {
    last_answer_ = std::move(answer_);
    has_failed_ = !last_answer_->error.text.empty();
    if (!has_failed_) names_.take_answer(last_answer_);
  }
  if (tree_->containers().empty()) {
    // The series of the last containers end with this tick.
    if (!std::exchange(sent_, {}).empty()) return {};
    auto error = no_data(cat(tree_->root(), ": no control group of a container"));
    tree_.reset();  // version and root are looked for anew
    return error;
  }
  proc_.emplace(procfs_);
  const bool has_names = names_.look(out);
  if (has_others_ || has_names || has_answer || is_due_) learn(tick, out);
  if (has_failed_) {
    out.complaints().unreadable(options_.docker_socket, last_answer_->error, {"a name"});
  }
  const auto host = proc_->inode("1/net/dev");
  networks_.clear();
  networks_.push_back(host != 0 ? host : proc_->inode("net/dev"));
  for (const auto* group : sent_) add(*group, tick, out);
  if (is_over_limit_) {
    out.complaints().unreadable(
        tree_->root(),
        failed(cat(tree_->root(), ": more than ", options_.containers_max,
                   " containers, which is collectors.containers.containers_max")),
        {"each that came later"});
  } else if (tree_->is_cut_off()) {
    out.complaints().unreadable(
        tree_->root(), failed(cat(tree_->root(), ": too many control groups, or too deep ones")),
        {"what is in the others"});
  }
  proc_.reset();
  return {};
}

/// What a change of containers or of names changes.
void Containers::learn(const Tick& tick, SeriesWriter& out) {
  const auto& all = tree_->containers();
  names_.list_logs(std::ranges::any_of(
      all, [](const auto* group) { return !group->container->pod_uid.empty(); }));
  if (std::exchange(has_others_, false)) {
    devices_.clear();
    auto sent = static_cast<std::uint64_t>(
        std::ranges::count_if(all, [](const auto* group) { return group->container->is_sent; }));
    is_over_limit_ = false;
    for (auto* group : all) {
      auto& container = *group->container;
      if (!container.is_sent && sent < options_.containers_max) {
        container.is_sent = true;
        ++sent;
      }
      is_over_limit_ = is_over_limit_ || !container.is_sent;
    }
  }
  has_unnamed_ = false;
  learned_ns_ = monotonic_ns();
  for (const auto* group : all) {
    if (!group->container->is_sent) continue;
    identify(*group, tick, out);
    const auto& labels = group->container->labels;
    has_unnamed_ = has_unnamed_ || (labels.name.empty() && labels.pod.empty());
  }
  sent_.clear();
  for (const bool is_sandbox : {true, false}) {
    for (auto* group : all) {
      const auto& container = *group->container;
      if (container.is_sent && container.is_sandbox == is_sandbox) sent_.push_back(group);
    }
  }
}

/// Its names, and when it was started, by its first process.
void Containers::identify(const ControlGroup& group, const Tick& tick, SeriesWriter& out) {
  auto& container = *group.container;
  path_ = cat(tree_->root(), container.path);
  Processes processes;
  // What is wrong is told when they are counted.
  count_processes(group, SysFolder(path_), true, processes, nullptr);
  std::string monitor;
  if (processes.first != 0) {
    ProcPath name;
    std::snprintf(name, sizeof name, "%u/stat", processes.first);
    const auto text = proc_->read(name);
    const auto line =
        text.error == 0 ? split_process_line(text.text(), processes.first) : std::nullopt;
    if (line) {
      container.is_sandbox = line->comm == "pause" || line->comm == "catatonit";
      const auto word = word_at(line->columns, ProcessParts::kStart);
      const auto start = parse_number<std::uint64_t>(word);
      const auto boot = start ? boot_seconds(*stat_, tick.number, kStartTime, out) : std::nullopt;
      if (boot)
        container.start_seconds = *boot + static_cast<double>(*start) / kProcessTicksPerSecond;
      if (!start) {
        out.complaints().garbled(proc_->path(name), word, "a count", {kStartTime.name});
      }
      if (const auto parent =
              parse_number<unsigned>(word_at(line->columns, ProcessParts::kParent))) {
        std::snprintf(name, sizeof name, "%u/cmdline", *parent);
        if (proc_->read(name, content_) == 0) monitor = content_;
      }
    } else if (text.error != 0) {
      complain(*proc_, name, text.error, kStartTime.name, out);
    } else {
      out.complaints().garbled(proc_->path(name), text.text(), "the state of a process",
                               {kStartTime.name});
    }
  }
  container.labels = names_.labels_of(container, monitor);
  container.asked_tick = tick.number;
}

void Containers::add(const ControlGroup& group, const Tick& tick, SeriesWriter& out) {
  auto& container = *group.container;
  if (!container.start_seconds && container.asked_tick != tick.number) identify(group, tick, out);
  labels_ = &container;
  path_.assign(tree_->root()).append(container.path);
  Processes processes;
  {
    const SysFolder folder(path_);
    if (!folder) return;  // it has ended just now
    count_processes(group, folder, true, processes, &out);
    // crun puts what Podman runs, and its limits, into a group of that name.
    const bool is_in_inner = !group.groups.empty() && group.groups[0]->name == "container";
    if (is_unified_ && is_in_inner) add_unified(SysFolder(folder, "container"), out);
    if (is_unified_ && !is_in_inner) add_unified(folder, out);
  }
  if (!is_unified_) add_version_1(out);
  if (processes.is_known) add_sample(kProcesses, static_cast<double>(processes.count), out);
  if (processes.first != 0) add_network(processes.first, out);
  if (container.start_seconds) add_sample(kStartTime, *container.start_seconds, out);
  add_sample(kLastSeen, static_cast<double>(tick.wall_ns / kNsPerSecond), out);
}

void Containers::add_unified(const SysFolder& folder, SeriesWriter& out) {
  Field cpu[] = {{"usage_usec", &kCpuUsage},       {"user_usec", &kCpuUser},
                 {"system_usec", &kCpuSystem},     {"nr_periods", &kCfsPeriods},
                 {"nr_throttled", &kCfsThrottled}, {"throttled_usec", &kCfsSeconds}};
  const bool has_quota = add_quota(folder, out);
  if (read_fields(folder, "cpu.stat", cpu, out)) {
    const std::span all(cpu);
    add_cpu(all.first(3), kUsPerSecond, kUsPerSecond,
            has_quota ? all.subspan(3) : std::span<Field>{}, kUsPerSecond, out);
  }
  if (const auto weight = read_number(folder, "cpu.weight", kShares, out)) {
    // As cAdvisor converts it; whole numbers.
    const auto shares = 2 + (static_cast<std::uint64_t>(*weight) - 1) * 262'142 / 9'999;
    if (*weight >= 1 && *weight <= 10'000) add_sample(kShares, static_cast<double>(shares), out);
  }
  Field memory[] = {{"inactive_file", &kWorkingSet},
                    {"anon", &kRss},
                    {"file", &kCache},
                    {"file_mapped", &kMappedFile}};
  const auto usage = read_number(folder, "memory.current", kMemoryUsage, out);
  read_fields(folder, "memory.stat", memory, out);
  add_memory(usage, memory, out);
  Field events[] = {{"max", &kFailcnt}, {"oom_kill", &kOomEvents}};
  read_fields(folder, "memory.events", events, out);
  for (const auto& field : events) add_sample(field, 1, out);
  add_numbers(folder, kUnified, out);
  add_disks(folder, out);
}

void Containers::add_version_1(SeriesWriter& out) {
  const auto path_below = [this](const std::string& controller) -> const std::string& {
    return path_.assign(controller).append(labels_->path);
  };
  Field throttling[] = {{"nr_periods", &kCfsPeriods},
                        {"nr_throttled", &kCfsThrottled},
                        {"throttled_time", &kCfsSeconds}};
  if (const SysFolder folder(path_below(controllers_.cpu)); folder) {
    add_numbers(folder, kCpuOfVersion1, out);
    if (add_quota_of_version_1(folder, out)) read_fields(folder, "cpu.stat", throttling, out);
  }
  if (const SysFolder folder(path_below(controllers_.cpuacct)); folder) {
    Field usage[] = {{"", &kCpuUsage, read_number(folder, "cpuacct.usage", kCpuUsage, out)},
                     {"user", &kCpuUser},
                     {"system", &kCpuSystem}};
    read_fields(folder, "cpuacct.stat", std::span(usage).subspan(1), out);
    add_cpu(usage, kNsPerSecondOfCpu, kTicksPerSecond, throttling, kNsPerSecondOfCpu, out);
  }
  if (const SysFolder folder(path_below(controllers_.memory)); folder) {
    Field memory[] = {{"total_inactive_file", &kWorkingSet},
                      {"total_rss", &kRss},
                      {"total_cache", &kCache},
                      {"total_mapped_file", &kMappedFile},
                      {"total_swap", &kSwap}};
    const auto usage = read_number(folder, "memory.usage_in_bytes", kMemoryUsage, out);
    read_fields(folder, "memory.stat", memory, out);
    add_memory(usage, memory, out);
    Field oom[] = {{"oom_kill", &kOomEvents}};
    read_fields(folder, "memory.oom_control", oom, out);
    add_sample(oom[0], 1, out);
    add_numbers(folder, kMemoryOfVersion1, out);
  }
  if (const SysFolder folder(path_below(controllers_.blkio)); folder) {
    // The files of the first kind count what is in groups below, too, and are not in old kernels.
    const bool is_new = folder.inode("blkio.throttle.io_service_bytes_recursive") != 0;
    add_disks_of_version_1(
        folder,
        is_new ? "blkio.throttle.io_service_bytes_recursive" : "blkio.throttle.io_service_bytes",
        kDisk[0], kDisk[1], out);
    add_disks_of_version_1(
        folder, is_new ? "blkio.throttle.io_serviced_recursive" : "blkio.throttle.io_serviced",
        kDisk[2], kDisk[3], out);
  }
  if (const SysFolder folder(path_below(controllers_.pids)); folder) {
    add_numbers(folder, kPidsOfVersion1, out);
  }
}

/// `usage` is the sum, user, system.
void Containers::add_cpu(std::span<const Field> usage, double per_second, double system_per_second,
                         std::span<const Field> throttling, double throttled_per_second,
                         SeriesWriter& out) {
  if (usage[0].number) add_sample(kCpuUsage, "total", *usage[0].number / per_second, out);
  for (const auto& field : usage.subspan(1)) add_sample(field, system_per_second, out);
  for (const auto& field : throttling) {
    add_sample(field, field.metric == &kCfsSeconds ? throttled_per_second : 1, out);
  }
}

/// The first one of `fields` is what of `usage` does not belong to the working set.
void Containers::add_memory(std::optional<double> usage, std::span<const Field> fields,
                            SeriesWriter& out) {
  if (usage) add_sample(kMemoryUsage, *usage, out);
  if (usage && fields[0].number) {
    add_sample(kWorkingSet, std::max(*usage - *fields[0].number, 0.0), out);
  }
  for (const auto& field : fields.subspan(1)) add_sample(field, 1, out);
}

/// No limit is 0, as cAdvisor has it; version 1 writes the largest number of pages.
void Containers::add_numbers(const SysFolder& folder, std::span<const NumberOf> numbers,
                             SeriesWriter& out) {
  constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 62;
  for (const auto& [file, metric, is_limit] : numbers) {
    const auto content = folder.read(file);
    if (content.error != 0) {
      complain(folder, file, content.error, metric->name, out);
      continue;
    }
    const auto text = content.text();
    const auto number = parse_number<std::uint64_t>(text);
    if (number || (is_limit && text == "max")) {
      const bool is_unlimited = !number || (is_limit && *number >= kUnlimited);
      add_sample(*metric, is_unlimited ? 0 : static_cast<double>(*number), out);
    } else {
      out.complaints().garbled(folder.path(file), text, is_limit ? "a count or max" : "a count",
                               {metric->name});
    }
  }
}

/// cpu.max is "200000 100000" or "max 100000". True: there is a quota.
bool Containers::add_quota(const SysFolder& folder, SeriesWriter& out) {
  const auto content = folder.read("cpu.max");
  if (content.error != 0) {
    complain(folder, "cpu.max", content.error, kQuota.name, out);
    return false;
  }
  auto rest = content.text();
  const auto quota_word = next_word(rest);
  const auto quota = parse_number<std::uint64_t>(quota_word);
  const auto period = parse_number<std::uint64_t>(trim(rest));
  if (period) add_sample(kPeriod, static_cast<double>(*period), out);
  if (quota) add_sample(kQuota, static_cast<double>(*quota), out);
  if (!period || (!quota && quota_word != "max")) {
    out.complaints().garbled(folder.path("cpu.max"), content.text(), "a quota and a period",
                             {period ? kQuota.name : kPeriod.name});
  }
  return quota.has_value();
}

bool Containers::add_quota_of_version_1(const SysFolder& folder, SeriesWriter& out) {
  if (const auto period = read_number(folder, "cpu.cfs_period_us", kPeriod, out)) {
    add_sample(kPeriod, *period, out);
  }
  const auto quota =
      read_number(folder, "cpu.cfs_quota_us", kQuota, out, SysNumber::count_or_unknown);
  if (!quota || *quota < 0) return false;
  add_sample(kQuota, *quota, out);
  return true;
}

/// A line of io.stat is "8:0 rbytes=90112 wbytes=0 ..". Some kernels leave the number of a device
/// without values before that of the next one.
void Containers::add_disks(const SysFolder& folder, SeriesWriter& out) {
  if (const auto error = folder.read("io.stat", content_); error != 0) {
    return complain(folder, "io.stat", error, kDisk[0].name, out);
  }
  seen_.clear();
  for (std::string_view rest = content_; auto line = next_line(rest);) {
    const auto whole = *line;
    std::string_view number;
    auto word = next_word(*line);
    for (; !word.empty() && word.find('=') == word.npos; word = next_word(*line)) number = word;
    if (word.empty()) continue;
    const auto* const device = device_of(number, folder, "io.stat", out);
    if (device == nullptr) continue;
    if (is_repeated(number)) {
      out.complaints().repeated(folder.path("io.stat"), number);
      continue;
    }
    unsigned seen = 0;  // a bit for each of kOperations
    for (; !word.empty(); word = next_word(*line)) {
      const auto equals = word.find('=');
      for (std::size_t i = 0; i < std::size(kOperations); ++i) {
        if (word.substr(0, equals) != kOperations[i] || (seen >> i & 1U) != 0) continue;
        seen |= 1U << i;
        const auto text = equals == word.npos ? std::string_view{} : word.substr(equals + 1);
        if (const auto count = parse_number<std::uint64_t>(text)) {
          add_sample(kDisk[i], device->name, static_cast<double>(*count), out);
        } else {
          out.complaints().garbled(folder.path("io.stat"), whole, "counts of a device",
                                   {kDisk[i].name});
        }
      }
    }
  }
}

/// A line is "8:0 Read 90112"; others are of other operations and of sums.
void Containers::add_disks_of_version_1(const SysFolder& folder, const char* file,
                                        const MetricDesc& reads, const MetricDesc& writes,
                                        SeriesWriter& out) {
  if (const auto error = folder.read(file, content_); error != 0) {
    return complain(folder, file, error, reads.name, out);
  }
  for (const auto* metric : {&reads, &writes}) {
    const std::string_view wanted = metric == &reads ? "Read" : "Write";
    seen_.clear();
    for (std::string_view rest = content_; auto line = next_line(rest);) {
      const auto number = next_word(*line);
      if (next_word(*line) != wanted) continue;
      const auto* const device = device_of(number, folder, file, out);
      if (device == nullptr) continue;
      const auto word = trim(*line);
      if (is_repeated(number)) {
        out.complaints().repeated(folder.path(file), number);
      } else if (const auto count = parse_number<std::uint64_t>(word)) {
        add_sample(*metric, device->name, static_cast<double>(*count), out);
      } else {
        out.complaints().garbled(folder.path(file), word, "a count", {metric->name});
      }
    }
  }
}

/// Valid until the next call. Null where `number`, "8:0", is none, which is told, and where sysfs
/// does not name the device.
const Device* Containers::device_of(std::string_view number, const SysFolder& folder,
                                    const char* file, SeriesWriter& out) {
  const auto colon = number.find(':');
  const auto first = parse_number<unsigned>(number.substr(0, colon));
  const auto second =
      parse_number<unsigned>(colon == number.npos ? std::string_view{} : number.substr(colon + 1));
  if (!first || !second) {
    out.complaints().garbled(folder.path(file), number, "the number of a device", {kDisk[0].name});
    return nullptr;
  }
  for (const auto& device : devices_) {
    if (device.major_number != *first || device.minor_number != *second) continue;
    return device.name.empty() ? nullptr : &device;
  }
  const SysFolder devices(devices_folder_);
  const auto uevent = cat(number, "/uevent");
  const auto content = devices.read(uevent.c_str());
  if (content.error != 0 && !has_no_value(content.error)) {
    complain(devices, uevent, content.error, kDisk[0].name, out);
    return nullptr;
  }
  Device device{*first, *second, {}};
  for (auto rest = content.text(); auto line = next_line(rest);) {
    constexpr std::string_view kName = "DEVNAME=";
    if (line->starts_with(kName) && is_printable(*line)) {
      device.name = cat("/dev/", line->substr(kName.size()));
    }
  }
  if (content.error == 0 && device.name.empty()) {
    out.complaints().garbled(devices.path(uevent), content.text(), "a table with DEVNAME",
                             {kDisk[0].name});
    return nullptr;
  }
  if (devices_.size() == kDevicesMax) return nullptr;
  devices_.push_back(std::move(device));
  return devices_.back().name.empty() ? nullptr : &devices_.back();
}

void Containers::add_network(unsigned pid, SeriesWriter& out) {
  ProcPath file;
  std::snprintf(file, sizeof file, "%u/net/dev", pid);
  const auto network = proc_->inode(file);
  // Where the host's own is not known, any could be that.
  if (network == 0 || networks_.front() == 0) return;
  if (std::ranges::find(networks_, network) != networks_.end()) return;
  networks_.push_back(network);
  if (const auto error = proc_->read(file, content_); error != 0) {
    return complain(*proc_, file, error, kNetwork[0].metric.name, out);
  }
  seen_.clear();
  for (std::string_view rest = content_; const auto line = next_line(rest);) {
    if (line->find('|') != line->npos) continue;  // the names of the columns
    const auto colon = line->rfind(':');
    const auto name = trim(line->substr(0, colon));
    if (colon == line->npos || name.empty() || !is_printable(name)) {
      out.complaints().garbled(proc_->path(file), *line, "'device: numbers'", {"a line"});
      continue;
    }
    // As cAdvisor leaves them out.
    constexpr std::string_view kLeftOut[] = {"lo", "veth", "docker", "nerdctl"};
    if (std::ranges::any_of(kLeftOut, [&](auto prefix) { return name.starts_with(prefix); })) {
      continue;
    }
    if (is_repeated(name)) {
      out.complaints().repeated(proc_->path(file), name);
      continue;
    }
    const CountersLine<kNetworkColumns> counters(line->substr(colon + 1), kGarbledLater);
    for (const auto& [column, metric] : kNetwork) {
      if (column < counters.found && counters.is_good[column]) {
        add_sample(metric, name, static_cast<double>(counters.values[column]), out);
      } else {
        out.complaints().garbled(proc_->path(file), word_at(line->substr(colon + 1), column),
                                 "a count", {metric.name, {name}});
      }
    }
  }
}

/// False where the file cannot be read. A field that is not in it is not there in this kernel; a file
/// that has none of them is told.
bool Containers::read_fields(const SysFolder& folder, const char* file, std::span<Field> fields,
                             SeriesWriter& out) {
  if (const auto error = folder.read(file, content_); error != 0) {
    complain(folder, file, error, fields.front().metric->name, out);
    return false;
  }
  bool has_any = false;
  for (std::string_view rest = content_; auto line = next_line(rest);) {
    const auto name = next_word(*line);
    for (auto& field : fields) {
      if (field.name != name) continue;
      has_any = true;
      const auto word = trim(*line);
      const auto number = parse_number<std::uint64_t>(word);
      if (number && !field.number) field.number = static_cast<double>(*number);
      if (!number) {
        out.complaints().garbled(folder.path(file), word, "a count", {field.metric->name});
      }
    }
  }
  if (!has_any) {
    const std::string_view content = content_;
    out.complaints().garbled(folder.path(file), content.substr(0, content.find('\n')),
                             cat("a table with ", fields.front().name),
                             {fields.front().metric->name});
  }
  return true;
}

/// Of the group and of those in it. `out` may be null. The processes of groups that are not
/// `is_inside` are the engine's own: they count, as they do for the kernel, and say nothing of the
/// container.
void Containers::count_processes(const ControlGroup& group, const SysFolder& folder, bool is_inside,
                                 Processes& processes, SeriesWriter* out) {
  constexpr const char* kFile = "cgroup.procs";
  if (const auto error = folder.read(kFile, content_); error != 0) {
    processes.is_known = false;
    if (out != nullptr) complain(folder, kFile, error, kProcesses.name, *out);
  } else {
    for (std::string_view rest = content_; const auto line = next_line(rest);) {
      const auto pid = parse_number<unsigned>(*line);
      if (!pid) {
        processes.is_known = false;
        if (out == nullptr) break;
        out->complaints().garbled(folder.path(kFile), *line, "a process", {kProcesses.name});
        break;
      }
      ++processes.count;
      // 0 is a process that another namespace has.
      if (is_inside && processes.first == 0) processes.first = *pid;
    }
  }
  for (const auto& inner : group.groups) {
    const bool is_engine = inner->name == "supervisor" || inner->name == "runtime";
    const SysFolder inner_folder(folder, inner->name.c_str());
    if (inner_folder) {
      count_processes(*inner, inner_folder, is_inside && !is_engine, processes, out);
    }
  }
}

}  // namespace

CollectorType containers_collector() {
  return {make_collector<Containers>, make_options<Options, kOptions>};
}

}  // namespace msp::collectors
