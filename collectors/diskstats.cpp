// diskstats: requests, bytes and time of each block device, from /proc/diskstats
// (Documentation/admin-guide/iostats.rst):
//    8  0 sda 89716 26331 4031898 28250 12933 7610 1727264 2817 0 19380 32489 4135 4 459312 1394 1562 26
// 11 numbers after the name, 15 since kernel 4.18 (discards), 17 since 5.5 (flushes); more are
// passed over. And what udev and /sys/block/<device>/queue/rotational know of the device. That is
// read again when udev's database changes; rotational, which an administrator can set without udev
// noticing, also of one device per tick in turn.
#include <iterator>
#include <optional>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/device_list.h"
#include "collectors/number_file.h"
#include "collectors/udev_data.h"

namespace msp::collectors {
namespace {

struct Options {
  Filter devices;
  friend bool operator==(const Options&, const Options&) = default;
};

constexpr ConfigKey kOptions[] = {
    // The default of node_exporter 1.12.
    exclude<&Options::devices>("device_exclude",
                               R"(^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$)",
                               {"Disks that are left out: partitions, and disks in memory.",
                                R"('^(z?ram|loop|fd|dm-)\d+$')"}),
    include<&Options::devices>(
        "device_include", "device_exclude",
        {"The only disks that are sent, instead of `device_exclude`.", R"('^nvme\d+n\d+$')"}),
};

constexpr double kSectorBytes = 512;  // whatever the device's own sectors are
constexpr double kMillisecond = 1.0 / 1000.0;

constexpr std::string_view kTable = "/proc/diskstats";
constexpr std::string_view kUdev = "/run/udev/data/bMAJOR:MINOR";
struct Column {
  MetricDesc family;
  double unit = 1;
};

constexpr Column counter(std::string_view name, std::string_view help, double unit = 1) {
  return {{name, help, kTable, MetricType::counter, "device"}, unit};
}

constexpr Column kColumns[] = {
    counter("node_disk_reads_completed_total", "The total number of reads completed successfully."),
    counter("node_disk_reads_merged_total", "The total number of reads merged."),
    counter("node_disk_read_bytes_total", "The total number of bytes read successfully.",
            kSectorBytes),
    counter("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads.",
            kMillisecond),
    counter("node_disk_writes_completed_total",
            "The total number of writes completed successfully."),
    counter("node_disk_writes_merged_total", "The number of writes merged."),
    counter("node_disk_written_bytes_total", "The total number of bytes written successfully.",
            kSectorBytes),
    counter("node_disk_write_time_seconds_total",
            "This is the total number of seconds spent by all writes.", kMillisecond),
    {{"node_disk_io_now", "The number of I/Os currently in progress.", kTable, MetricType::gauge,
      "device"}},
    counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.", kMillisecond),
    counter("node_disk_io_time_weighted_seconds_total",
            "The weighted # of seconds spent doing I/Os.", kMillisecond),
    counter("node_disk_discards_completed_total",
            "The total number of discards completed successfully."),
    counter("node_disk_discards_merged_total", "The total number of discards merged."),
    counter("node_disk_discarded_sectors_total",
            "The total number of sectors discarded successfully."),
    counter("node_disk_discard_time_seconds_total",
            "This is the total number of seconds spent by all discards.", kMillisecond),
    counter("node_disk_flush_requests_total",
            "The total number of flush requests completed successfully"),
    counter("node_disk_flush_requests_time_seconds_total",
            "This is the total number of seconds spent by all flush requests.", kMillisecond),
};
constexpr std::size_t kColumnsMin = 11;

constexpr MetricDesc kInfo{
    "node_disk_info", "Info of /sys/block/<block_device>.",
    "/proc/diskstats, /run/udev/data/bMAJOR:MINOR, /sys/block/DEVICE/queue/rotational",
    MetricType::gauge, "device,major,minor,path,wwn,model,serial,revision,rotational"};
constexpr MetricDesc kFilesystemInfo{"node_disk_filesystem_info", "Info about disk filesystem.",
                                     kUdev, MetricType::gauge, "device,type,usage,uuid,version"};
constexpr MetricDesc kDeviceMapperInfo{"node_disk_device_mapper_info",
                                       "Info about disk device mapper.", kUdev, MetricType::gauge,
                                       "device,name,uuid,vg_name,lv_name,lv_layer"};

struct Ata {
  UdevProperty property;
  MetricDesc family;
};
constexpr Ata kAta[] = {
    {UdevProperty::id_ata_write_cache,
     {"node_disk_ata_write_cache", "ATA disk has a write cache.", kUdev, MetricType::gauge,
      "device"}},
    {UdevProperty::id_ata_write_cache_enabled,
     {"node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled.", kUdev,
      MetricType::gauge, "device"}},
    {UdevProperty::id_ata_rotation_rate_rpm,
     {"node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs).", kUdev,
      MetricType::gauge, "device"}},
};

class Diskstats : public Collector {
 public:
  explicit Diskstats(const CollectorContext& context)
      : paths_(context.paths),
        is_wanted_(context.options.as<Options>().devices),
        udev_folder_(paths_.root("/run/udev/data")),
        table_(context.files.open(paths_.proc("diskstats"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = table_->read(tick.number);
    if (!content) return content.error();
    const auto folder = FileStamp::of(udev_folder_);
    is_udev_new_ = folder != udev_stamp_ || !folder.is_settled(tick.wall_ns);
    devices_.begin_tick();
    wanted_ = 0;
    auto rest = *content;
    bool has_device = content->empty();
    while (const auto line = next_line(rest)) {
      has_device = collect_device(tick, *line, out) || has_device;
    }
    if (!has_device) {
      return failed(
          cat(table_->path(), " line 1: expected 'major minor device numbers'", got(*content)));
    }
    devices_.end_tick();
    udev_stamp_ = folder;  // not before all have seen what is new
    to_look_at_ = to_look_at_ + 1 < wanted_ ? to_look_at_ + 1 : 0;
    return {};
  }

 private:
  struct Device {
    std::string name;
    bool is_wanted;
    NumberFile rotational;
    NumberFile::Reading rotational_reading = {};
    std::string major = {}, minor = {};  // empty: udev was not asked yet
    FileStamp udev_stamp = {};
    UdevProperties udev = {};
    std::optional<Error> udev_error = {};
    std::string serial = {};

    /// "0" where the file is missing, too, as node_exporter has it; empty where it is garbled.
    std::string_view is_rotational() const {
      const auto [state, number, error] = rotational_reading;
      if (state == NumberFile::State::missing) return "0";
      if (state != NumberFile::State::number) return "";
      return number == 1 ? "1" : "0";
    }
  };

  /// False where the line is not that of a device.
  bool collect_device(const Tick& tick, std::string_view line, SeriesWriter& out) {
    auto rest = line;
    const auto major = next_word(rest);
    const auto minor = next_word(rest);
    const auto name = next_word(rest);
    if (!parse_number<std::uint32_t>(major) || !parse_number<std::uint32_t>(minor) ||
        name.empty() || name.find('\0') != name.npos) {
      out.complaints().garbled(table_->path(), line, "'major minor device numbers'", {"a line"});
      return false;
    }
    auto* const device = devices_.next(name, [this](std::string_view new_name) {
      return Device{
          .name = std::string(new_name),
          .is_wanted = is_wanted_(new_name),
          .rotational = NumberFile(paths_.sys(cat("block/", new_name, "/queue/rotational")))};
    });
    if (device == nullptr) {
      out.complaints().repeated(table_->path(), name);
      return true;
    }
    if (!device->is_wanted) return true;
    update(*device, major, minor, tick);
    add_info(*device, out);
    add_columns(*device, rest, out);
    add_udev(*device, out);
    ++wanted_;
    return true;
  }

  void add_columns(const Device& device, std::string_view numbers, SeriesWriter& out) const {
    const CountersLine<std::size(kColumns)> line(
        numbers, [&](std::size_t column, std::string_view word) {
          out.complaints().garbled(table_->path(), word, "a count",
                                   {kColumns[column].family.name, {device.name}});
        });
    if (line.is_short(kColumnsMin)) {
      out.complaints().garbled(table_->path(), trim(numbers), "11 numbers or more",
                               {"the line", {device.name}});
      return;
    }
    for (std::size_t i = 0; i < line.found; ++i) {
      if (!line.is_good[i]) continue;
      const auto& [family, unit] = kColumns[i];
      out.add(family, {device.name}, static_cast<double>(line.values[i]) * unit);
    }
  }

  void update(Device& device, std::string_view major, std::string_view minor, const Tick& tick) {
    const bool is_new = device.major != major || device.minor != minor;
    if (is_new) {
      device.major = major;
      device.minor = minor;
    }
    bool is_changed = is_new;
    if (is_new || is_udev_new_ || device.udev_error) {
      const auto path = udev_path(device);
      const auto stamp = FileStamp::of(path);
      if (is_new || stamp != device.udev_stamp || !stamp.is_settled(tick.wall_ns) ||
          device.udev_error) {
        is_changed = true;
        device.udev_stamp = stamp;
        read_udev(device, path);
      }
    }
    if (is_changed || wanted_ == to_look_at_) {
      device.rotational.forget();
      device.rotational_reading = device.rotational.read(false);
      if (device.rotational_reading.number > 1) {
        device.rotational_reading.state = NumberFile::State::garbled;
      }
    }
  }

  static void read_udev(Device& device, const std::string& path) {
    constexpr std::size_t kBytesMax = 1 << 20;
    const auto content = device.udev_stamp.inode != 0 ? read_file(path, kBytesMax) : no_data("");
    const bool is_there = content || content.error().kind != Error::Kind::no_data;
    device.udev_error = content || !is_there ? std::nullopt : std::optional(content.error());
    device.udev = UdevProperties::parse(content ? std::string_view(*content) : "");
    // The one printed on the disk, if the disk tells it; virtio devices have the last only.
    device.serial = device.udev[UdevProperty::scsi_ident_serial];
    if (device.serial.empty()) device.serial = device.udev[UdevProperty::id_serial_short];
    if (device.serial.empty()) device.serial = device.udev[UdevProperty::id_serial];
  }

  void add_info(const Device& device, SeriesWriter& out) const {
    using enum UdevProperty;
    const auto& udev = device.udev;
    out.add(kInfo,
            {device.name, device.major, device.minor, udev[id_path], udev[id_wwn], udev[id_model],
             device.serial, udev[id_revision], device.is_rotational()},
            1);
    complain(out.complaints(), device.rotational, device.rotational_reading,
             {"the label rotational", {device.name}});
    if (device.udev_error) {
      out.complaints().unreadable(udev_path(device), *device.udev_error,
                                  {"what udev knows", {device.name}});
    }
    if (!udev.garbled().empty()) {
      out.complaints().garbled(udev_path(device), udev.garbled(), "a property",
                               {"what it says", {device.name}});
    }
  }

  void add_udev(const Device& device, SeriesWriter& out) const {
    using enum UdevProperty;
    const auto& udev = device.udev;
    if (!udev[id_fs_type].empty()) {
      out.add(
          kFilesystemInfo,
          {device.name, udev[id_fs_type], udev[id_fs_usage], udev[id_fs_uuid], udev[id_fs_version]},
          1);
    }
    if (!udev[dm_name].empty()) {
      out.add(kDeviceMapperInfo,
              {device.name, udev[dm_name], udev[dm_uuid], udev[dm_vg_name], udev[dm_lv_name],
               udev[dm_lv_layer]},
              1);
    }
    if (udev[id_ata].empty()) return;
    for (const auto& ata : kAta) {
      const auto& text = udev[ata.property];
      if (text.empty()) continue;
      if (const auto value = parse_amount(text)) {
        out.add(ata.family, {device.name}, *value);
      } else {
        out.complaints().garbled(udev_path(device), text, "a number of 0 or more",
                                 {ata.family.name, {device.name}});
      }
    }
  }

  std::string udev_path(const Device& device) const {
    return cat(udev_folder_, "/b", device.major, ':', device.minor);
  }

  const HostPaths& paths_;
  const Filter& is_wanted_;
  const std::string udev_folder_;
  std::shared_ptr<KeptFile> table_;
  DeviceList<Device> devices_;
  FileStamp udev_stamp_;
  bool is_udev_new_ = true;
  std::size_t wanted_ = 0;      // wanted devices so far in this tick
  std::size_t to_look_at_ = 0;  // the one whose rotational is read in this tick
};

}  // namespace

CollectorType diskstats_collector() {
  return {make_collector<Diskstats>, make_options<Options, kOptions>};
}

}  // namespace msp::collectors
