#include "agent/config/collector_config.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/regex.h"
#include "agent/base/text.h"
#include "agent/config/validators.h"
#include "collectors/registry.h"

namespace msp {
namespace {

// The defaults of node_exporter 1.12.
constexpr std::string_view kMountPointsExclude =
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
constexpr std::string_view kFsTypesExclude =
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|"
    "mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|"
    "tracefs)$";
constexpr std::string_view kDisksExclude = "^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$";
// Ours: node_exporter sends every device, and a container host has hundreds of these. They are told
// by their whole names, which nobody gives to a device of the host's own (lxcbr0, calico0,
// veth-wan): Docker's veth and 7 hexadecimal digits, those of the CNI plugins and of LXD with 8,
// Calico's cali and 11, Cilium's lxc and 12 (5 in its first versions) and lxc_health.
constexpr std::string_view kNetworkDevicesExclude =
    "^(veth[0-9a-f]{7,8}|cali[0-9a-f]{11}|lxc([0-9a-f]{5,12}|_health))$";

std::string names_of_all() {
  std::string names;
  for (const auto& entry : collector_registry()) {
    names += cat(names.empty() ? "" : ", ", entry.name);
  }
  return names;
}

/// The names in a list of collectors; unknown ones are reported.
std::set<std::string> read_names(Section& section, std::string_view key, Diagnostics& findings) {
  const auto accepted = cat("a list of collectors: ", names_of_all());
  std::vector<std::string_view> known;
  for (const auto& entry : collector_registry()) known.push_back(entry.name);
  std::set<std::string> names;
  constexpr std::size_t kNamesMax = 100;
  if (!section.has_at_most(kNamesMax, "names", key)) return names;
  const auto values = section.list(key, accepted);
  if (!values) return names;
  for (const auto& value : *values) {
    if (std::find(known.begin(), known.end(), value.text) != known.end()) {
      names.insert(value.text);
      continue;
    }
    const auto meant = value.text.size() > 64 ? "" : nearest(value.text, known);
    const auto suggestion = meant.empty() ? std::string() : cat(", did you mean '", meant, "'?");
    findings.reject(value.at, value.key, cat(shown(value.text), suggestion), names_of_all());
  }
  return names;
}

struct FilterKeys {
  std::string_view exclude;
  std::string_view include;
};

/// The filter of a pair of keys. `by_default` is excluded where neither is set. An empty expression
/// excludes nothing, and includes as if it were not set. On an error, which it reports, everything
/// is wanted.
Filter read_filter(Section& section, const FilterKeys& keys, std::string_view by_default) {
  struct Choice {
    std::string_view key;
    PatternUse use;
  };
  const Choice choices[] = {{keys.exclude, PatternUse::exclude},
                            {keys.include, PatternUse::include}};
  std::string regex(by_default);
  auto use = PatternUse::exclude;
  bool excludes = false;
  for (const auto& choice : choices) {
    constexpr std::string_view kAccepted = "an RE2 regular expression, such as '^(veth|docker)'";
    const auto value = section.text(choice.key, kAccepted);
    if (!value || (value->text.empty() && choice.use == PatternUse::include)) continue;
    if (const auto filter = make_filter(value->text, choice.use); !filter) {
      section.reject(
          choice.key,
          cat(shown(value->text), ", no regular expression: ", printable(filter.error().text)),
          kAccepted);
      regex.clear();
      continue;
    }
    if (excludes) section.reject(choice.key, cat(keys.exclude, " as well"), "one of the two");
    excludes = !value->text.empty();
    regex = value->text;
    use = choice.use;
  }
  return *make_filter(regex, use);
}

void read_enabled(Section& section, Diagnostics& findings, Config& out) {
  const auto enabled = read_names(section, "enabled", findings);
  const auto disabled = read_names(section, "disabled", findings);
  const bool replaced = section.has("enabled");
  for (const auto& entry : collector_registry()) {
    const std::string name(entry.name);
    const bool is_on = replaced ? enabled.contains(name) : entry.default_on;
    if (is_on && !disabled.contains(name)) out.collectors.push_back(name);
  }
  const auto* const list = section.node("enabled");
  if (list != nullptr && list->kind == Node::Kind::list && list->items.empty()) {
    section.reject("enabled", "an empty list", cat("at least one of ", names_of_all()));
  } else if (out.collectors.empty() && (!replaced || !enabled.empty())) {
    section.reject("disabled", "every collector", "all but one, at most");
  }
}

}  // namespace

void read_collectors(Section& top, Diagnostics& findings, Config& out) {
  auto section = top.section("collectors");
  read_enabled(section, findings, out);
  auto& options = out.collector_options;

  auto filesystem = section.section("filesystem");
  options.filesystem.mount_points = read_filter(
      filesystem, {"mount_points_exclude", "mount_points_include"}, kMountPointsExclude);
  options.filesystem.fs_types =
      read_filter(filesystem, {"fs_types_exclude", "fs_types_include"}, kFsTypesExclude);
  filesystem.read(
      "mount_timeout",
      {kMountTimeoutLimits.min, kMountTimeoutLimits.max, "a duration from 10ms to 1h, such as 5s"},
      options.filesystem.mount_timeout);
  filesystem.finish();

  auto netdev = section.section("netdev");
  options.netdev_devices =
      read_filter(netdev, {"device_exclude", "device_include"}, kNetworkDevicesExclude);
  netdev.finish();

  auto diskstats = section.section("diskstats");
  options.diskstats_devices =
      read_filter(diskstats, {"device_exclude", "device_include"}, kDisksExclude);
  diskstats.finish();
  section.finish();
}

}  // namespace msp
