// btrfs: what each mounted btrfs has allocated, used and committed, from /sys/fs/btrfs/UUID
// (fs/btrfs/sysfs.c), a value per file:
//   allocation/data/raid0/total_bytes 2147483648    commit_stats: commits 258051
//   devices/loop25/size 20971520, in sectors of 512 bytes
//   devinfo/1/error_stats: write_errs 0    since kernel 5.14
// node_exporter asks for the errors, and for what a device has left, with ioctls, which wait for a disk
// that hangs (the kernel writes the super blocks under the lock that they take); so what is left is not
// sent, and errors have the label devid (`btrfs filesystem show` lists it) in the place of
// btrfs_dev_uuid. Which of several devices has that number only an ioctl says: then `device` is empty.
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

#define MSP_BTRFS(name, help, file, type, labels) \
  { "node_btrfs_" name, help, "/sys/fs/btrfs/DEVICE/" file, MetricType::type, labels }
constexpr MetricDesc kInfo MSP_BTRFS("info", "Filesystem information", "label", gauge,
                                     "uuid,label");
constexpr MetricDesc kReserve MSP_BTRFS("global_rsv_size_bytes", "Size of global reserve.",
                                        "allocation/global_rsv_size", gauge, "uuid");
constexpr MetricDesc kDeviceSize MSP_BTRFS("device_size_bytes",
                                           "Size of a device that is part of the filesystem.",
                                           "devices/DEVICE/size", gauge, "uuid,device");
constexpr MetricDesc kErrors MSP_BTRFS("device_errors_total", "Errors reported for the device",
                                       "devinfo/ID/error_stats", counter, "uuid,device,devid,type");
constexpr MetricDesc kReserved MSP_BTRFS("reserved_bytes",
                                         "Amount of space reserved for a data type",
                                         "allocation/TYPE/bytes_reserved", gauge,
                                         "uuid,block_group_type");
#define MSP_LAYOUT(name, help, file) \
  MSP_BTRFS(name, help, "allocation/TYPE/MODE/" file, gauge, "uuid,block_group_type,mode")
constexpr MetricDesc kUsed MSP_LAYOUT("used_bytes", "Amount of used space by a layout/data type",
                                      "used_bytes");
constexpr MetricDesc kSize MSP_LAYOUT("size_bytes",
                                      "Amount of space allocated for a layout/data type",
                                      "total_bytes");
constexpr MetricDesc kRatio MSP_LAYOUT("allocation_ratio",
                                       "Data allocation ratio for a layout/data type",
                                       "total_bytes");
#undef MSP_LAYOUT
struct Commit {
  std::string_view name;
  MetricDesc metric;
  double unit;
};
constexpr const char* kCommitFile = "commit_stats";
constexpr const char* kErrorsFile = "error_stats";
constexpr std::string_view kErrorTypes[] = {"write", "read", "flush", "corruption", "generation"};
constexpr Commit kCommits[] = {
    {"commits",
     MSP_BTRFS("commits_total", "The total number of commits that have occurred.", "commit_stats",
               counter, "uuid"),
     1},
    {"last_commit_ms",
     MSP_BTRFS("last_commit_seconds", "Duration of the most recent commit, in seconds.",
               "commit_stats", gauge, "uuid"),
     1000},
    {"max_commit_ms",
     MSP_BTRFS("max_commit_seconds", "Duration of the slowest commit, in seconds.", "commit_stats",
               gauge, "uuid"),
     1000},
    {"total_commit_ms",
     MSP_BTRFS("commit_seconds_total", "Sum of the duration of all commits, in seconds.",
               "commit_stats", counter, "uuid"),
     1000},
};
#undef MSP_BTRFS

/// How many bytes of its devices a layout takes for one of data.
double ratio_of(std::string_view mode, std::size_t devices) {
  const auto all = static_cast<double>(devices);
  if (mode == "single" || mode == "raid0") return 1;
  if (mode == "dup" || mode == "raid1" || mode == "raid10") return 2;
  if (mode == "raid1c3") return 3;
  if (mode == "raid1c4") return 4;
  if (mode == "raid5" && devices > 1) return all / (all - 1);
  if (mode == "raid6" && devices > 2) return all / (all - 2);
  return 0;
}

class Btrfs : public Collector {
 public:
  explicit Btrfs(const CollectorContext& context) : folder_(context.paths.sys("fs/btrfs")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder btrfs(folder_);
    if (!btrfs) return no_data(cat(folder_, ": no such folder"));
    btrfs.list(names_);
    for (const auto& name : names_) {
      // "features" is none.
      if (name.find('-') == name.npos) continue;
      if (const SysFolder folder(btrfs, name.c_str()); folder) add(folder, name, out);
    }
    return {};
  }

 private:
  void add(const SysFolder& folder, const std::string& name, SeriesWriter& out) {
    read_label(folder, "label", kInfo, label_, out);
    // Of a file system with another UUID on the disk than its own.
    read_label(folder, "metadata_uuid", kInfo, uuid_, out);
    if (uuid_.empty()) uuid_ = name;
    out.add(kInfo, {uuid_, label_}, 1);
    add_number(folder, "allocation/global_rsv_size", kReserve, {uuid_}, out);
    add_commits(folder, out);
    const SysFolder devices(folder, "devices");
    if (devices) {
      devices.list(devices_);
    } else {
      devices_.clear();
    }
    for (const auto& device_name : devices_) {
      const SysFolder device(devices, device_name.c_str());
      const auto sectors = device ? read_number(device, "size", kDeviceSize, out) : std::nullopt;
      if (sectors) out.add(kDeviceSize, {uuid_, device_name}, *sectors * 512);
    }
    add_errors(SysFolder(folder, "devinfo"), out);
    const SysFolder allocation(folder, "allocation");
    for (const auto* type : {"data", "metadata", "system"}) {
      if (const SysFolder of_type(allocation, type); of_type) add_type(of_type, type, out);
    }
  }

  void add_errors(const SysFolder& folder, SeriesWriter& out) {
    if (!folder) return;
    folder.list(ids_);
    const auto is_one = devices_.size() == 1 && ids_.size() == 1;
    const auto name = is_one ? std::string_view(devices_.front()) : std::string_view{};
    for (const auto& id : ids_) {
      const SysFolder device(folder, id.c_str());
      if (!device) continue;
      const auto content = device.read(kErrorsFile);
      if (content.error != 0) {
        complain(device, kErrorsFile, content.error, kErrors.name, out);
        continue;
      }
      for (const auto type : kErrorTypes) {
        for (auto rest = content.text(); auto line = next_line(rest);) {
          const auto word = next_word(*line);
          if (word.size() != type.size() + 5 || !word.starts_with(type) ||
              !word.ends_with("_errs")) {
            continue;
          }
          add_count(device, kErrorsFile, next_word(*line), kErrors, {uuid_, name, id, type}, out);
          break;
        }
      }
    }
  }

  static void add_count(const SysFolder& folder, const char* file, std::string_view word,
                        const MetricDesc& metric, SeriesWriter::LabelValues labels,
                        SeriesWriter& out) {
    if (const auto number = parse_number<std::uint64_t>(word)) {
      out.add(metric, labels, static_cast<double>(*number));
    } else {
      out.complaints().garbled(folder.path(file), word, "a count", {metric.name});
    }
  }

  void add_commits(const SysFolder& folder, SeriesWriter& out) const {
    const auto content = folder.read(kCommitFile);
    if (content.error != 0) {
      return complain(folder, kCommitFile, content.error, "what it has committed", out);
    }
    for (const auto& commit : kCommits) {
      auto rest = std::string_view(content.bytes, content.size);
      while (auto line = next_line(rest)) {
        if (next_word(*line) != commit.name) continue;
        const auto word = next_word(*line);
        if (const auto number = parse_number<std::uint64_t>(word)) {
          out.add(commit.metric, {uuid_}, static_cast<double>(*number) / commit.unit);
        } else {
          out.complaints().garbled(folder.path(kCommitFile), word, "a count", {commit.metric.name});
        }
        break;
      }
    }
  }

  void add_type(const SysFolder& folder, std::string_view type, SeriesWriter& out) {
    add_number(folder, "bytes_reserved", kReserved, {uuid_, type}, out);
    folder.list(modes_);
    for (const auto& mode : modes_) {
      const SysFolder layout(folder, mode.c_str());
      if (!layout) continue;
      add_number(layout, "used_bytes", kUsed, {uuid_, type, mode}, out);
      const auto size = read_number(layout, "total_bytes", kSize, out);
      if (!size) continue;
      out.add(kSize, {uuid_, type, mode}, *size);
      out.add(kRatio, {uuid_, type, mode}, ratio_of(mode, devices_.size()));
    }
  }

  const std::string folder_;
  std::vector<std::string> names_;
  std::vector<std::string> devices_;
  std::vector<std::string> ids_;  // of devices
  std::vector<std::string> modes_;
  std::string label_;
  std::string uuid_;
};

}  // namespace

CollectorType btrfs_collector() {
  return {.make = make_collector<Btrfs>, .empty_is_absent = true};
}

}  // namespace msp::collectors
