#include "collectors/udev_data.h"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::collectors {
namespace {

// In the order of UdevProperty.
constexpr std::string_view kNames[] = {
    "DM_LV_LAYER",
    "DM_LV_NAME",
    "DM_NAME",
    "DM_UUID",
    "DM_VG_NAME",
    "ID_ATA",
    "ID_ATA_ROTATION_RATE_RPM",
    "ID_ATA_WRITE_CACHE",
    "ID_ATA_WRITE_CACHE_ENABLED",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_UUID",
    "ID_FS_VERSION",
    "ID_MODEL",
    "ID_PATH",
    "ID_REVISION",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "SCSI_IDENT_SERIAL",
};
static_assert(std::size(kNames) == static_cast<std::size_t>(UdevProperty::count));

}  // namespace

UdevProperties UdevProperties::parse(std::string_view content) {
  constexpr std::string_view kPrefix = "E:";
  UdevProperties properties;
  while (auto line = next_line(content)) {
    if (line->find('\0') != line->npos) {
      if (properties.garbled_.empty()) properties.garbled_ = *line;
      continue;
    }
    if (!line->starts_with(kPrefix)) continue;
    line->remove_prefix(kPrefix.size());
    const auto equals = line->find('=');
    if (equals == std::string_view::npos) continue;
    const auto* name = std::find(std::begin(kNames), std::end(kNames), line->substr(0, equals));
    if (name == std::end(kNames)) continue;
    properties.values_[static_cast<std::size_t>(name - kNames)] = line->substr(equals + 1);
  }
  return properties;
}

FileStamp FileStamp::of(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return {};
  return {file.st_ino, file.st_mtim.tv_sec * kNsPerSecond + file.st_mtim.tv_nsec, file.st_size};
}

bool FileStamp::is_settled(std::int64_t now_ns) const {
  return inode == 0 || modified_ns < now_ns - kNsPerSecond;
}

}  // namespace msp::collectors
