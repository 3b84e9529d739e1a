// The kernel's table of mounts as one process sees it, /proc/<pid>/mountinfo
// (Documentation/filesystems/proc.rst, 3.5):
//   36 35 98:0 /mnt1 /mnt/with\040space rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
//
// All is views into the table's text, escapes and all: a path here has \040 where a name has a
// space.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace msp::collectors {

struct MountLine {
  std::uint64_t id = 0, parent = 0;
  std::string_view major, minor, mount_point, options, fs_type, device, super_options;

  /// "98:0": the same in every mount namespace, unlike st_dev of a btrfs subvolume.
  std::string_view file_system() const {
    return {major.data(), static_cast<std::size_t>(minor.data() + minor.size() - major.data())};
  }
};

/// Nothing, when it is not such a line.
std::optional<MountLine> parse_mount_line(std::string_view line);

/// Answers what a path leads to, as the kernel's path lookup does: a mount covers what is below its
/// mount point, and of mounts on one another the last is on top.
class MountTree {
 public:
  /// Lines that are none are left out.
  explicit MountTree(std::string_view mountinfo);

  /// MountLine::file_system() of what is mounted where `path`, an absolute one, leads; empty when
  /// the table does not say, as in a chroot.
  std::string_view file_system_at(std::string_view path) const;

  bool has_mount_point(std::string_view path) const;

 private:
  struct Mount {
    std::uint64_t parent = 0;
    std::string_view mount_point;
    std::uint64_t id = 0;
    std::string_view file_system;
  };

  const Mount* mounted_on(const Mount& mount, std::string_view path) const;

  Mount root_;
  std::vector<Mount> mounts_;  // but the root; by parent and mount point
};

}  // namespace msp::collectors
