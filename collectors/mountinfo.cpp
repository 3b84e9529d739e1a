#include "collectors/mountinfo.h"

#include <algorithm>
#include <tuple>

#include "agent/base/text.h"

namespace msp::collectors {
namespace {

/// The next field; fields are separated by one space, and the device may be empty.
std::string_view next_field(std::string_view& rest) {
  const auto end = rest.find(' ');
  const auto field = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return field;
}

bool is_number(std::string_view text) {
  return parse_number<std::uint32_t>(text).has_value();
}

}  // namespace

std::optional<MountLine> parse_mount_line(std::string_view rest) {
  if (rest.find('\0') != rest.npos) return std::nullopt;  // no field can have one
  MountLine line;
  const auto id = parse_number<std::uint64_t>(next_field(rest));
  const auto parent = parse_number<std::uint64_t>(next_field(rest));
  line.minor = next_field(rest);
  const auto colon = line.minor.find(':');
  if (!id || !parent || colon == std::string_view::npos) return std::nullopt;
  line.id = *id;
  line.parent = *parent;
  line.major = line.minor.substr(0, colon);
  line.minor.remove_prefix(colon + 1);
  if (!is_number(line.major) || !is_number(line.minor)) return std::nullopt;
  next_field(rest);  // the root of the mount within its file system
  line.mount_point = next_field(rest);
  line.options = next_field(rest);
  while (!rest.empty() && next_field(rest) != "-") {
  }
  line.fs_type = next_field(rest);
  line.device = next_field(rest);
  line.super_options = next_field(rest);
  if (!line.mount_point.starts_with('/') || line.super_options.empty()) return std::nullopt;
  return line;
}

MountTree::MountTree(std::string_view mountinfo) {
  std::vector<std::uint64_t> ids;
  while (const auto text = next_line(mountinfo)) {
    const auto line = parse_mount_line(*text);
    if (!line) continue;
    ids.push_back(line->id);
    mounts_.push_back({line->parent, line->mount_point, line->id, line->file_system()});
  }
  std::sort(ids.begin(), ids.end());

  // The parent of what is mounted on the process's root is not in its table. In a chroot whose
  // folder is no mount point, the root itself is not, either.
  const auto is_topmost = [&](const Mount& mount) {
    return mount.parent == mount.id || !std::binary_search(ids.begin(), ids.end(), mount.parent);
  };
  for (const auto& mount : mounts_) {
    if (mount.mount_point == "/" && is_topmost(mount)) root_ = mount;
  }
  for (auto& mount : mounts_) {
    if (is_topmost(mount)) mount.parent = root_.id;
  }
  std::erase_if(mounts_, [](const Mount& mount) { return mount.parent == mount.id; });
  std::stable_sort(mounts_.begin(), mounts_.end(), [](const Mount& a, const Mount& b) {
    return std::tie(a.parent, a.mount_point) < std::tie(b.parent, b.mount_point);
  });
}

const MountTree::Mount* MountTree::mounted_on(const Mount& mount, std::string_view path) const {
  const auto after = std::upper_bound(
      mounts_.begin(), mounts_.end(), path, [&](std::string_view wanted, const Mount& candidate) {
        return std::tie(mount.id, wanted) < std::tie(candidate.parent, candidate.mount_point);
      });
  if (after == mounts_.begin()) return nullptr;
  const auto& last = *std::prev(after);
  return last.parent == mount.id && last.mount_point == path ? &last : nullptr;
}

std::string_view MountTree::file_system_at(std::string_view path) const {
  const Mount* at = &root_;
  auto steps = mounts_.size();  // none is passed twice, whatever the table says
  for (auto end = path == "/" ? path.npos : 0; end != path.npos;) {
    end = path.find('/', end + 1);
    const auto reached = path.substr(0, end);
    for (auto on = mounted_on(*at, reached); on != nullptr && steps > 0; --steps) {
      at = on;
      on = mounted_on(*at, reached);
    }
  }
  return at->file_system;
}

bool MountTree::has_mount_point(std::string_view path) const {
  return std::any_of(mounts_.begin(), mounts_.end(),
                     [&](const Mount& mount) { return mount.mount_point == path; });
}

}  // namespace msp::collectors
