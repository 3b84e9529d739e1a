// filesystem: size and state of each mount, from mountinfo and statvfs(2).
//
// mountinfo is pid 1's, so that an agent in a mount namespace of its own reports the host's mounts.
// It is read at every tick, because only its options show that a disk went read-only, and parsed
// again only when it has changed. statvfs runs on MountStat's threads: a mount that hangs is
// reported with device_error="mountpoint timeout".
//
// statvfs sees the agent's own mounts, though. Where these do not lead to the file system that
// pid 1 sees (PrivateTmp=, a container without rslave), it would answer for another one: it is not
// asked, and the mount is reported with kHidden for its error.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <iterator>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/mount_stat.h"
#include "collectors/mountinfo.h"

namespace msp::collectors {
namespace {

using namespace std::chrono_literals;

struct Options {
  Filter mount_points;
  Filter fs_types;
  std::chrono::milliseconds mount_timeout{5000};
  friend bool operator==(const Options&, const Options&) = default;
};

// The expressions are the defaults of node_exporter 1.12.
constexpr ConfigKey kOptions[] = {
    exclude<&Options::mount_points>(
        "mount_points_exclude",
        "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
        {"Mount points that are left out: those of the kernel's file systems and of containers.",
         R"('^/(dev|proc|run|sys|mnt/backup)($|/)')"}),
    include<&Options::mount_points>(
        "mount_points_include", "mount_points_exclude",
        {"The only mount points that are sent, instead of `mount_points_exclude`.",
         R"('^/(srv(/.*)?)?$')"}),
    exclude<&Options::fs_types>(
        "fs_types_exclude",
        "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|"
        "iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|"
        "erofs|sysfs|tracefs)$",
        {"File system types that are left out: those without data of their own, and overlay, whose "
         "data is on another file system. To see overlay file systems, take overlay out of this "
         "list; those of Docker and Podman are below mount points that are left out.",
         R"('^(autofs|cgroup2?|devtmpfs|nfs4?|overlay|proc|squashfs|sysfs|tmpfs)$')"}),
    include<&Options::fs_types>(
        "fs_types_include", "fs_types_exclude",
        {"The only types that are sent, instead of `fs_types_exclude`.", "'^(ext4|xfs|btrfs)$'"}),
    key<&Options::mount_timeout>(
        "mount_timeout", key_type::Duration{10ms, 1h},
        {"How long a mount may take to answer; then it is reported with "
         "`node_filesystem_device_error` 1.\nAt most half of `interval` is used.",
         "2s"}),
};

constexpr std::string_view kMountinfo = "/proc/1/mountinfo";
constexpr std::string_view kStatvfs = "statvfs(2)";
constexpr std::string_view kLabels = "device,mountpoint,fstype,device_error";

constexpr MetricDesc gauge(std::string_view name, std::string_view help,
                           std::string_view source = kStatvfs) {
  return {name, help, source, MetricType::gauge, kLabels};
}

constexpr MetricDesc kDeviceError =
    gauge("node_filesystem_device_error",
          "Whether an error occurred while getting statistics for the given device.",
          "/proc/1/mountinfo, statvfs(2)");
constexpr MetricDesc kReadonly =
    gauge("node_filesystem_readonly", "Filesystem read-only status.", kMountinfo);
constexpr MetricDesc kSize = gauge("node_filesystem_size_bytes", "Filesystem size in bytes.");
constexpr MetricDesc kFree = gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.");
constexpr MetricDesc kAvail =
    gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.");
constexpr MetricDesc kFiles = gauge("node_filesystem_files", "Filesystem total file nodes.");
constexpr MetricDesc kFilesFree =
    gauge("node_filesystem_files_free", "Filesystem total free file nodes.");
constexpr MetricDesc kPurgeable =
    gauge("node_filesystem_purgeable_bytes",
          "Filesystem space available including purgeable space (MacOS specific).");
constexpr MetricDesc kMountInfo{"node_filesystem_mount_info", "Filesystem mount information.",
                                kMountinfo, MetricType::gauge, "device,major,minor,mountpoint"};

constexpr std::string_view kTimeout = "mountpoint timeout";
constexpr std::string_view kHidden = "hidden from the agent by its mount namespace";
constexpr std::size_t kOwnMountsBytesMax = 64 << 20;
constexpr std::size_t kGarbledBytesMax = 80;  // more than a message quotes
// No file system has as much: a number of blocks below 0, which servers (NFS) and FUSE file systems
// do answer, as statvfs has it.
constexpr double kBytesEnd = 0x1p64;
const MountAnswer kNotAsked;

/// The kernel writes space, tab, newline, backslash and # as three octal digits. node_exporter's
/// labels have only the first two unescaped; statvfs needs the real name.
enum class Unescape { as_label, fully };

std::string unescape(std::string_view text, Unescape how) {
  const auto digit = [&](std::size_t i) {
    return i < text.size() && text[i] >= '0' && text[i] <= '7' ? text[i] - '0' : -1;
  };
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape =
        text[i] == '\\' && digit(i + 1) >= 0 && digit(i + 2) >= 0 && digit(i + 3) >= 0;
    const char c =
        is_escape ? static_cast<char>(digit(i + 1) * 64 + digit(i + 2) * 8 + digit(i + 3)) : '\0';
    if (is_escape && (how == Unescape::fully || c == ' ' || c == '\t')) {
      plain += c;
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool has_option(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const auto comma = options.find(',');
    if (options.substr(0, comma) == wanted) return true;
    options.remove_prefix(comma == std::string_view::npos ? options.size() : comma + 1);
  }
  return false;
}

/// A mount point as the host's own processes see it: without --path.rootfs in front.
std::string_view strip_rootfs(std::string_view mount_point, std::string_view rootfs) {
  if (rootfs == "/" || !mount_point.starts_with(rootfs)) return mount_point;
  const auto stripped = mount_point.substr(rootfs.size());
  if (stripped.empty()) return "/";
  return stripped.front() == '/' ? stripped : mount_point;
}

std::string utf8(std::string_view text) {
  std::string valid(text);
  make_utf8(valid);
  return valid;
}

/// strerror's text as Go writes it: "permission denied", but "RFS specific error".
std::string error_label(int error) {
  auto text = errno_text(error);
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (text.size() > 1 && is_upper(text[0]) && !is_upper(text[1])) text[0] += 'a' - 'A';
  return text;
}

/// Pid 1's mounts and the agent's own.
class TwoViews {
 public:
  TwoViews(std::string_view of_init, std::string_view own, std::string_view rootfs)
      : of_init_(of_init), own_(own) {
    // A root that is reached in another way (/proc/1/root, a symbolic link) is not in the table.
    are_comparable_ = rootfs == "/" || own_.has_mount_point(rootfs);
  }

  /// Whether statvfs of `asked` would answer for another file system than pid 1 has at
  /// `mount_point`. What is not known is not hidden.
  bool hide(std::string_view mount_point, std::string_view asked) const {
    if (!are_comparable_) return false;
    const auto wanted = of_init_.file_system_at(mount_point);
    const auto got = own_.file_system_at(asked);
    return !wanted.empty() && !got.empty() && wanted != got;
  }

 private:
  MountTree of_init_, own_;
  bool are_comparable_ = false;
};

class Filesystem : public Collector {
 public:
  explicit Filesystem(const CollectorContext& context)
      : paths_(context.paths),
        options_(context.options.as<Options>()),
        init_mounts_(context.files.open(paths_.proc("1/mountinfo"))),
        own_mounts_(context.files.open(paths_.proc("self/mountinfo"))),
        mount_stat_(context.host.statvfs, timeout(context), context.wakeup) {}

  Result<bool> begin(const Tick& tick) override;
  std::int64_t wait_ns() override { return mount_stat_.wait_ns(); }
  Result<void> collect(const Tick& tick, SeriesWriter& out) override;

 private:
  struct Mount {
    std::string device, mount_point, fs_type, major, minor;  // labels
    bool read_only = false;
    bool has_info = false;   // of several mounts with the same labels of mount_info, one reports it
    bool is_hidden = false;  // then it is not asked
    std::size_t asked = 0;   // index in mount_stat_
    int error = 0;           // what error_text is the text of
    std::string error_text;  // kept, so that a lasting error costs no allocation
  };

  /// Half a tick at most: the scrape waits for it, and is to be delivered before the next one.
  static std::chrono::milliseconds timeout(const CollectorContext& context) {
    const auto timeout = context.options.as<Options>().mount_timeout;
    return context.interval.count() > 0 ? std::min(timeout, context.interval / 2) : timeout;
  }

  Result<void> parse(std::string_view content, const KeptFile& file);
  static void report(Mount& mount, const MountAnswer& answer, SeriesWriter& out);

  const HostPaths& paths_;
  const Options& options_;
  std::shared_ptr<KeptFile> init_mounts_;
  std::shared_ptr<KeptFile> own_mounts_;
  std::string parsed_;                // what mounts_ was made of
  bool look_again_ = false;           // the two tables may have been of different moments
  std::vector<Mount> mounts_;         // those that are reported
  std::vector<std::string> garbled_;  // the beginnings of lines that are no mount's
  std::string mounts_path_;           // of the file that they are in
  MountStat mount_stat_;
};

Result<bool> Filesystem::begin(const Tick& tick) {
  // With hidepid, pid 1 is not there for an agent that is not root.
  auto* file = init_mounts_.get();
  auto content = file->read(tick.number);
  if (!content) {
    file = own_mounts_.get();
    content = file->read(tick.number);
  }
  if (!content) return content.error();
  if (content->empty()) return failed(cat(file->path(), ": empty"));
  mounts_path_ = file->path();
  if (const bool has_changed = *content != parsed_; has_changed || look_again_) {
    parsed_.clear();
    if (auto parsed = parse(*content, *file); !parsed) return parsed.error();
    parsed_ = *content;
    look_again_ = has_changed && std::any_of(mounts_.begin(), mounts_.end(),
                                             [](const Mount& mount) { return mount.is_hidden; });
  }
  if (auto begun = mount_stat_.begin(); !begun) return begun.error();
  return true;
}

Result<void> Filesystem::collect(const Tick&, SeriesWriter& out) {
  for (const auto& line : garbled_) {
    out.complaints().garbled(mounts_path_, line, "a mount", {"a line"});
  }
  if (auto finished = mount_stat_.finish(); !finished) return finished;
  for (auto& mount : mounts_) {
    report(mount, mount.is_hidden ? kNotAsked : mount_stat_.answer(mount.asked), out);
  }
  return {};
}

Result<void> Filesystem::parse(std::string_view content, const KeptFile& file) {
  const bool is_own = &file == own_mounts_.get();
  std::string own;
  if (!is_own) {
    if (auto read = read_file(own_mounts_->path(), kOwnMountsBytesMax)) own = std::move(*read);
  }
  std::optional<TwoViews> views;
  if (!own.empty() && own != content) views.emplace(content, own, paths_.rootfs);

  std::vector<Mount> mounts;
  std::vector<MountToAsk> to_ask;
  std::unordered_map<std::string, std::size_t> by_labels, by_path;
  std::vector<std::string> garbled;
  bool has_mount = false;
  while (const auto text = next_line(content)) {
    const auto line = parse_mount_line(*text);
    if (!line) {
      garbled.emplace_back(text->substr(0, kGarbledBytesMax));
      continue;
    }
    has_mount = true;
    Mount mount;
    mount.fs_type = utf8(line->fs_type);
    if (!options_.fs_types(mount.fs_type)) continue;
    const auto label = unescape(line->mount_point, Unescape::as_label);
    mount.mount_point = utf8(strip_rootfs(label, paths_.rootfs));
    if (!options_.mount_points(mount.mount_point)) continue;
    mount.device = utf8(line->device);
    mount.major = line->major;
    mount.minor = line->minor;
    // Of its own mounts, a unit's ProtectSystem= makes all read-only, and no disk is.
    mount.read_only = (!is_own && has_option(line->options, "ro")) ||
                      has_option(line->super_options, "ro") ||
                      has_option(line->super_options, "emergency_ro");

    // Of mounts on one path the last one is on top: it is what statvfs sees, and what a shared
    // label set stands for.
    const auto real = unescape(line->mount_point, Unescape::fully);
    const auto path = paths_.root(strip_rootfs(real, paths_.rootfs));
    // systemd gives a service a /proc of its own; one is as empty as the other.
    mount.is_hidden =
        views && mount.fs_type != "proc" &&
        views->hide(line->mount_point, paths_.root(strip_rootfs(line->mount_point, paths_.rootfs)));
    if (!mount.is_hidden) {
      const auto asked = by_path.emplace(path, to_ask.size());
      if (asked.second) to_ask.emplace_back();
      mount.asked = asked.first->second;
      to_ask[mount.asked] = {path, line->id, mount.fs_type};
    }

    const auto key = cat(mount.device, '\0', mount.mount_point, '\0', mount.fs_type);
    const auto same = by_labels.emplace(key, mounts.size());
    if (same.second) mounts.emplace_back();
    mounts[same.first->second] = std::move(mount);
  }

  if (!has_mount) {
    return failed(cat(file.path(), " line 1: expected 'id parent major:minor root mount-point ",
                      "options ... - type device options'", got(garbled.front())));
  }

  std::unordered_set<std::string> infos;
  for (auto& mount : mounts) {
    const auto key =
        cat(mount.device, '\0', mount.major, ':', mount.minor, '\0', mount.mount_point);
    mount.has_info = infos.insert(key).second;
  }
  mounts_ = std::move(mounts);
  garbled_ = std::move(garbled);
  mount_stat_.set_mounts(std::move(to_ask));
  return {};
}

void Filesystem::report(Mount& mount, const MountAnswer& answer, SeriesWriter& out) {
  std::string_view error;
  if (mount.is_hidden) {
    error = kHidden;
  } else if (answer.timed_out) {
    error = kTimeout;
  } else if (answer.error != 0) {
    if (mount.error != answer.error) mount.error_text = error_label(mount.error = answer.error);
    error = mount.error_text;
  }
  const auto add = [&](const MetricDesc& family, double value) {
    out.add(family, {mount.device, mount.mount_point, mount.fs_type, error}, value);
  };
  add(kDeviceError, error.empty() ? 0 : 1);
  add(kReadonly, mount.read_only ? 1 : 0);
  if (!error.empty()) return;

  // f_bsize and not f_frsize, which some FUSE file systems set otherwise: so that both agents
  // agree.
  const auto& stat = answer.stat;
  const auto add_bytes = [&](const MetricDesc& family, std::uint64_t blocks) {
    const auto bytes = static_cast<double>(blocks) * static_cast<double>(stat.f_bsize);
    if (bytes < kBytesEnd) {
      add(family, bytes);
    } else {
      char digits[32];
      const auto end = std::to_chars(digits, std::end(digits), blocks).ptr;
      out.complaints().garbled(kStatvfs, {digits, static_cast<std::size_t>(end - digits)},
                               "a number of blocks", {family.name, {mount.mount_point}});
    }
  };
  add_bytes(kSize, stat.f_blocks);
  add_bytes(kFree, stat.f_bfree);
  add_bytes(kAvail, stat.f_bavail);
  add(kFiles, static_cast<double>(stat.f_files));
  add(kFilesFree, static_cast<double>(stat.f_ffree));
  if (mount.has_info) {
    out.add(kMountInfo, {mount.device, mount.major, mount.minor, mount.mount_point}, 1);
  }
  add(kPurgeable, 0);
}

}  // namespace

CollectorType filesystem_collector() {
  return {make_collector<Filesystem>, make_options<Options, kOptions>};
}

}  // namespace msp::collectors
