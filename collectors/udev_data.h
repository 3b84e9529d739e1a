// What udev knows of block devices: its database under /run/udev/data, one file per device
// (b<major>:<minor>), with one property per line among others:
//   E:ID_SERIAL_SHORT=S3EVNX0J802428
//
// udev replaces a file by renaming a new one over it, so that the folder's time of change tells
// whether any file is new: while it stays, all devices together cost one stat(2).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace msp::collectors {

enum class UdevProperty : std::uint8_t {
  dm_lv_layer,
  dm_lv_name,
  dm_name,
  dm_uuid,
  dm_vg_name,
  id_ata,
  id_ata_rotation_rate_rpm,
  id_ata_write_cache,
  id_ata_write_cache_enabled,
  id_fs_type,
  id_fs_usage,
  id_fs_uuid,
  id_fs_version,
  id_model,
  id_path,
  id_revision,
  id_serial,
  id_serial_short,
  id_wwn,
  scsi_ident_serial,
  count,
};

/// The properties of one device, empty where it has none of the name.
class UdevProperties {
 public:
  const std::string& operator[](UdevProperty property) const {
    return values_[static_cast<std::size_t>(property)];
  }

  /// Those in a file of the database. Other lines, and properties not in the list above, are passed
  /// over. A value with a NUL in it is left out: garbled().
  static UdevProperties parse(std::string_view content);

  /// The first line with a NUL in it; empty where there is none.
  const std::string& garbled() const { return garbled_; }

 private:
  std::string garbled_;
  std::array<std::string, static_cast<std::size_t>(UdevProperty::count)> values_;
};

/// What a file was when it was last looked at.
struct FileStamp {
  std::uint64_t inode = 0;  // 0: there was none
  std::int64_t modified_ns = 0;
  std::int64_t bytes = 0;

  static FileStamp of(const std::string& path);

  /// Whether a later change is sure to show in another stamp: file times are as coarse as the
  /// kernel's tick, so what changed a moment ago can change once more within the same time.
  /// `now_ns` is wall time.
  bool is_settled(std::int64_t now_ns) const;

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

}  // namespace msp::collectors
